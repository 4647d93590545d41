//! Effects, orders, requests, the outbox and the ledger are there together or not at all.

use std::task::Poll;

use anyhow::{Context as _, Result};
use stores::{Applied, EventFact, OutboxMessage, StoreError};

use crate::facts::{fact, purchase, purchase_of};
use crate::model::assert_counted_once;
use crate::outbox::message;
use crate::{Bench, NOW};

on_both_engines! {
    an_error_at_any_step_leaves_nothing_behind,
    what_is_to_be_published_is_there_if_and_only_if_its_cause_counted,
    a_batch_that_was_given_up_in_the_middle_leaves_nothing_behind,
    text_that_postgresql_cannot_keep_is_refused_or_kept_as_it_is,
}

/// The tables that a batch with purchases writes, in the order in which it does.
const STEPS: [[&str; 2]; 7] = [
    [
        "ALTER TABLE orders RENAME TO hidden",
        "ALTER TABLE hidden RENAME TO orders",
    ],
    [
        "ALTER TABLE origin_facts RENAME TO hidden",
        "ALTER TABLE hidden RENAME TO origin_facts",
    ],
    [
        "ALTER TABLE origin_days RENAME TO hidden",
        "ALTER TABLE hidden RENAME TO origin_days",
    ],
    [
        "ALTER TABLE brand_buckets RENAME TO hidden",
        "ALTER TABLE hidden RENAME TO brand_buckets",
    ],
    [
        "ALTER TABLE prediction_requests RENAME TO hidden",
        "ALTER TABLE hidden RENAME TO prediction_requests",
    ],
    [
        "ALTER TABLE outbox RENAME TO hidden",
        "ALTER TABLE hidden RENAME TO outbox",
    ],
    [
        "ALTER TABLE applied_batches RENAME TO hidden",
        "ALTER TABLE hidden RENAME TO applied_batches",
    ],
];

fn causes(applied: &Applied) -> Vec<OutboxMessage> {
    let people = applied.requested.iter();
    people
        .map(|(person, _)| message(&person.to_string()))
        .collect()
}

async fn an_error_at_any_step_leaves_nothing_behind(bench: Bench) -> Result<()> {
    let facts = [fact(1), purchase(2, Some("A")), purchase_of(3, "EUR", 5)];
    for [hide, show] in STEPS {
        bench.execute(hide).await?;
        let failure = bench.apply_causing(&facts, NOW, causes).await.unwrap_err();
        assert!(failure.is_unavailable(), "{hide}: {failure:?}");
        bench.execute(show).await?;
        assert_counted_once(&bench, &[]).await?;
        assert_eq!(bench.outbox().oldest(10).await?, []);
    }
    let applied = bench.apply_causing(&facts, NOW, causes).await?;
    assert_eq!((applied.counted, applied.requested.len()), (3, 1));
    assert_counted_once(&bench, &facts).await?;
    assert_eq!(bench.outbox().oldest(10).await?.len(), 1);
    Ok(())
}

async fn what_is_to_be_published_is_there_if_and_only_if_its_cause_counted(
    bench: Bench,
) -> Result<()> {
    let causes = |applied: &Applied| {
        let repeated = applied.repeated_orders.iter();
        let rejected = repeated.map(|index| message(&format!("rejected {index}")));
        rejected.chain(causes(applied)).collect()
    };
    bench
        .apply_causing(&[purchase(1, Some("A"))], NOW, causes)
        .await?;
    let first = bench.outbox().oldest(10).await?;
    assert_eq!(first.len(), 1);
    bench.outbox().remove(&first).await?;

    let batch = [purchase(2, Some("B")), purchase(3, Some("A"))];
    bench.execute(STEPS[6][0]).await?;
    assert!(bench.apply_causing(&batch, NOW, causes).await.is_err());
    bench.execute(STEPS[6][1]).await?;
    assert_eq!(bench.outbox().oldest(10).await?, []);

    bench.apply_causing(&batch, NOW, causes).await?;
    let waiting = bench.outbox().oldest(10).await?;
    assert_eq!(waiting, [message("rejected 1")]);
    bench.outbox().remove(&waiting).await?;
    bench.apply_causing(&batch, NOW, causes).await?;
    assert_eq!(bench.outbox().oldest(10).await?, []);
    Ok(())
}

/// As when a stage is stopped: the future is dropped wherever it is. How far it gets in so many
/// polls depends on how fast the database answers, so there are many rounds.
async fn a_batch_that_was_given_up_in_the_middle_leaves_nothing_behind(bench: Bench) -> Result<()> {
    let mut facts: Vec<EventFact> = Vec::new();
    let mut given_up = 0;
    for (first, polls_max) in (0..).step_by(10).zip((0..20).cycle().take(60)) {
        let batch = [
            fact(first),
            purchase(first + 1, Some(&format!("order {first}"))),
            purchase_of(first + 2, "EUR", 5),
        ];
        if !polled(bench.apply(&batch), polls_max).await {
            given_up += 1;
        }
        // A commit that was under way may have happened: then they are repeats.
        let applied = bench.apply_again(&batch).await?;
        assert_eq!(applied.counted + applied.repeats, 3);
        assert!([0, 3].contains(&applied.counted), "{applied:?}");
        facts.extend(batch);
    }
    assert!(given_up > 0);
    assert_counted_once(&bench, &facts).await
}

/// Drops the future after so many polls; whether it was done by then.
async fn polled<T>(future: impl Future<Output = T>, polls_max: usize) -> bool {
    let mut future = Box::pin(future);
    let mut polls = 0;
    std::future::poll_fn(|context| {
        if polls == polls_max {
            return Poll::Ready(false);
        }
        polls += 1;
        future.as_mut().poll(context).map(|_| true)
    })
    .await
}

async fn text_that_postgresql_cannot_keep_is_refused_or_kept_as_it_is(bench: Bench) -> Result<()> {
    // Ids, brands and types cannot hold NUL; a currency or an order is what another program says.
    let bad: Vec<EventFact> = vec![
        purchase_of(1, "E\0R", 5),
        purchase(2, Some("A\0B")),
        purchase(3, Some("A\0C")),
    ];
    let good = [fact(4), purchase(5, Some("A"))];
    for bad in &bad {
        let batch = [&good[..], std::slice::from_ref(bad)].concat();
        match bench.apply(&batch).await {
            Ok(applied) => assert_eq!(applied.counted + applied.repeats, 3, "{bad:?}"),
            Err(StoreError::Refused { .. }) => assert_counted_once(&bench, &[]).await?,
            Err(other) => return Err(other).context("neither kept nor refused"),
        }
    }
    let unpublishable = bench
        .apply_causing(&[fact(6)], NOW, |_| vec![message("a\0b")])
        .await;
    let facts = match unpublishable {
        Ok(_) => [&bad[..], &good, &[fact(6)]].concat(),
        Err(StoreError::Refused { .. }) => {
            bench.apply(&good).await?;
            good.to_vec()
        }
        Err(other) => return Err(other).context("neither kept nor refused"),
    };
    assert_counted_once(&bench, &facts).await
}
