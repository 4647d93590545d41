//! The ledger forgets what cannot come again.

use anyhow::Result;
use common::UnixMillis;
use stores::{EventFact, MessageKey};

use crate::facts::fact;
use crate::model::assert_counted_once;
use crate::{Bench, NOW, POLICY, STAGE};

on_both_engines! {
    only_what_is_old_and_below_the_floor_is_forgotten,
    what_is_kept_is_not_forgotten_until_it_is_old_again,
    messages_that_came_far_apart_are_forgotten_each_for_itself,
    the_largest_ids_are_remembered_and_kept_apart,
}

/// A message with an id of its own and an event of its own.
fn at(major: u64, minor: u64) -> EventFact {
    EventFact {
        message: MessageKey { major, minor },
        ..fact(major.wrapping_mul(31).wrapping_add(minor))
    }
}

async fn only_what_is_old_and_below_the_floor_is_forgotten(bench: Bench) -> Result<()> {
    let (old, young) = (NOW, UnixMillis(NOW.0 + 1_000));
    let low = [at(10, 0), at(11, 5)];
    let across = [at(12, 0), at(20, 0)];
    let high = [at(20, 1), at(30, 0)];
    let low_but_young = [at(13, 0)];
    for (batch, now) in [
        (&low[..], old),
        (&across[..], old),
        (&high[..], old),
        (&low_but_young[..], young),
    ] {
        bench.apply_causing(batch, now, |_| Vec::new()).await?;
    }
    let features = bench.features();
    let other_stage = features.apply("other", &low, (false, POLICY, old), |_| Vec::new());
    other_stage.await?;

    // A batch is as young as its last message, and the bounds are not included.
    assert_eq!(features.prune_ledger(STAGE, 11, young).await?, 0);
    assert_eq!(features.prune_ledger(STAGE, 20, old).await?, 0);
    assert_eq!(features.prune_ledger(STAGE, 20, young).await?, 1);
    assert_eq!(features.prune_ledger(STAGE, 20, young).await?, 0);

    for kept in [&across[..], &high[..], &low_but_young[..]] {
        assert_eq!(bench.apply_again(kept).await?.repeats, kept.len());
    }
    let again = features.apply("other", &low, (true, POLICY, old), |_| Vec::new());
    assert_eq!(again.await?.repeats, 2);
    // What is forgotten counts anew: the floor says that it cannot come again.
    assert_eq!(bench.apply_again(&low).await?.counted, 2);
    Ok(())
}

async fn what_is_kept_is_not_forgotten_until_it_is_old_again(bench: Bench) -> Result<()> {
    let hour = 3_600_000;
    let (kept, gone) = ([at(10, 0), at(11, 5)], [at(9, 0), at(12, 0), at(hour, 0)]);
    bench.apply(&kept).await?;
    for one in gone.chunks(1) {
        bench.apply(one).await?;
    }
    let features = bench.features();
    let later = |millis| UnixMillis(NOW.0 + millis);
    let other = MessageKey {
        major: hour - 1,
        minor: 0,
    };
    let some = [kept[0].message, other];
    // What was applied just then is young enough.
    assert_eq!(
        features.keep_ledger(STAGE, &some, (NOW, later(50))).await?,
        0
    );
    assert_eq!(
        features
            .keep_ledger("other", &some, (later(1), later(50)))
            .await?,
        0
    );
    assert_eq!(
        features
            .keep_ledger(STAGE, &[], (later(1), later(50)))
            .await?,
        0
    );
    assert_eq!(
        features
            .keep_ledger(STAGE, &some, (later(1), later(50)))
            .await?,
        1
    );
    assert_eq!(features.prune_ledger(STAGE, u64::MAX, later(50)).await?, 3);
    assert_eq!(bench.apply_again(&kept).await?.repeats, 2);
    assert_eq!(features.prune_ledger(STAGE, u64::MAX, later(51)).await?, 1);
    assert_eq!(bench.apply_again(&kept).await?.counted, 2);
    Ok(())
}

async fn messages_that_came_far_apart_are_forgotten_each_for_itself(bench: Bench) -> Result<()> {
    let hour = 3_600_000;
    let batch = [at(1, 0), at(hour, 0), at(hour + 1, 0), at(3 * hour, 0)];
    assert_eq!(bench.apply(&batch).await?.counted, 4);
    let features = bench.features();
    let young = UnixMillis(NOW.0 + 1);
    assert_eq!(features.prune_ledger(STAGE, 2 * hour, young).await?, 2);
    let applied = bench.apply_again(&batch).await?;
    assert_eq!((applied.counted, applied.repeats), (3, 1));
    Ok(())
}

async fn the_largest_ids_are_remembered_and_kept_apart(bench: Bench) -> Result<()> {
    let beyond = 1 << 63;
    let ids = [
        (0, 0),
        (0, u64::MAX),
        (beyond - 1, 0),
        (beyond, 0),
        (beyond, 1),
        (u64::MAX, 0),
        (u64::MAX, u64::MAX),
    ];
    let facts: Vec<EventFact> = ids.map(|(major, minor)| at(major, minor)).to_vec();
    for one in facts.chunks(1) {
        assert_eq!(bench.apply(one).await?.counted, 1);
    }
    assert_eq!(bench.apply_again(&facts).await?.repeats, ids.len());
    assert_eq!(bench.apply(&[at(u64::MAX, 7), at(0, 7)]).await?.counted, 2);
    assert_counted_once(&bench, &[facts, vec![at(u64::MAX, 7), at(0, 7)]].concat()).await
}
