//! The ledger says when a message had its effects.

use anyhow::Result;
use common::UnixMillis;
use stores::{EventFact, MessageKey};

use crate::facts::fact;
use crate::{Bench, NOW, POLICY, STAGE};

on_both_engines! {
    a_message_was_applied_with_its_batch_and_at_no_other_time,
    what_was_forgotten_was_applied_at_no_known_time,
}

/// A message with an id of its own and an event of its own.
fn at(major: u64, minor: u64) -> EventFact {
    EventFact {
        message: MessageKey { major, minor },
        ..fact(major.wrapping_mul(31).wrapping_add(minor))
    }
}

async fn a_message_was_applied_with_its_batch_and_at_no_other_time(bench: Bench) -> Result<()> {
    let later = UnixMillis(NOW.0 + 7);
    let across = [at(10, 3), at(20, 0)];
    let between = [at(10, 4), at(15, 0), at(20, 1)];
    for (batch, now) in [(&across[..], NOW), (&between[..], later)] {
        bench.apply_causing(batch, now, |_| Vec::new()).await?;
    }
    let features = bench.features();
    // Delivered again later, it changed nothing.
    let again = features.apply(STAGE, &across, (true, POLICY, later), |_| Vec::new());
    assert_eq!(again.await?.repeats, 2);
    bench
        .apply_causing(&[at(u64::MAX, 1)], later, |_| Vec::new())
        .await?;
    for (message, expected) in [
        ((10, 3), Some(NOW)),
        ((20, 0), Some(NOW)),
        ((10, 4), Some(later)),
        ((15, 0), Some(later)),
        ((15, 1), None),
        ((9, 9), None),
        ((u64::MAX, 1), Some(later)),
        ((u64::MAX, 0), None),
    ] {
        let (major, minor) = message;
        let found = features
            .applied_at(STAGE, MessageKey { major, minor })
            .await?;
        assert_eq!(found, expected, "{message:?}");
    }
    let other = features.applied_at("other", across[0].message).await?;
    assert_eq!(other, None, "another stage");
    Ok(())
}

async fn what_was_forgotten_was_applied_at_no_known_time(bench: Bench) -> Result<()> {
    let old = [at(10, 0)];
    bench.apply(&old).await?;
    let features = bench.features();
    assert_eq!(features.applied_at(STAGE, old[0].message).await?, Some(NOW));
    let pruned = features
        .prune_ledger(STAGE, 11, UnixMillis(NOW.0 + 1))
        .await?;
    assert_eq!(pruned, 1);
    assert_eq!(features.applied_at(STAGE, old[0].message).await?, None);
    Ok(())
}
