//! Workers that apply batches side by side.

use std::time::Duration;

use anyhow::{Context as _, Result};
use common::UnixMillis;
use common::time::MINUTE_MS;
use fastrand::Rng;
use stores::EventFact;
use tokio::task::JoinSet;

use crate::facts::{fact, random_facts};
use crate::model::assert_counted_once;
use crate::{Bench, NOW, apply};

on_both_engines! {
    overlapping_batches_of_eight_workers_count_each_message_once,
    a_batch_and_its_redelivery_at_the_same_time_count_once,
    fresh_batches_on_the_same_rows_do_not_wait_in_a_circle,
    fresh_batches_on_the_same_buckets_do_not_wait_in_a_circle,
}

const WORKERS: usize = 8;
/// Far more than any of this takes; a circle is broken by the server, or ends here.
const IN_TIME: Duration = Duration::from_mins(1);

/// Some messages in a batch, and whether some of them may have been delivered before.
type Delivery = (Vec<EventFact>, bool);

/// Workers take deliveries in turns; gives how many facts counted.
async fn deliver(bench: &Bench, deliveries: Vec<Delivery>) -> Result<usize> {
    let mut workers = JoinSet::new();
    for worker in 0..WORKERS {
        let features = bench.features();
        let mine: Vec<Delivery> = deliveries
            .iter()
            .skip(worker)
            .step_by(WORKERS)
            .cloned()
            .collect();
        workers.spawn(async move {
            let mut counted = 0;
            for (facts, repeats_possible) in mine {
                counted += apply(&features, &facts, repeats_possible).await?.counted;
            }
            anyhow::Ok(counted)
        });
    }
    let outcomes = tokio::time::timeout(IN_TIME, workers.join_all());
    outcomes
        .await
        .context("waiting for workers")?
        .into_iter()
        .sum()
}

async fn overlapping_batches_of_eight_workers_count_each_message_once(bench: Bench) -> Result<()> {
    for seed in 0..3 {
        let mut random = Rng::with_seed(seed);
        let first = seed * 1_000;
        let facts = random_facts(&mut random, first..first + 320);
        // Each message is delivered once as new, in some order.
        let mut shuffled = facts.clone();
        random.shuffle(&mut shuffled);
        let mut deliveries: Vec<Delivery> = shuffled
            .chunks(20)
            .map(|batch| (batch.to_vec(), false))
            .collect();
        // And some again: the same batches, and others across them.
        for _ in 0..24 {
            random.shuffle(&mut shuffled);
            let count = random.usize(1..60);
            deliveries.push((shuffled[..count].to_vec(), true));
        }
        let again: Vec<Delivery> = deliveries[..8]
            .iter()
            .map(|(batch, _)| (batch.clone(), true))
            .collect();
        deliveries.extend(again);
        random.shuffle(&mut deliveries);

        let before = counted_before(&bench, first).await?;
        assert_eq!(deliver(&bench, deliveries).await?, facts.len());
        assert_eq!(bench.apply_again(&facts).await?.repeats, facts.len());
        assert_counted_once(&bench, &[before, facts].concat()).await?;
    }
    Ok(())
}

/// The facts of the rounds before the one that begins with this number.
async fn counted_before(bench: &Bench, first: u64) -> Result<Vec<EventFact>> {
    let mut before = Vec::new();
    for seed in 0..first / 1_000 {
        let numbers = seed * 1_000..seed * 1_000 + 320;
        before.extend(random_facts(&mut Rng::with_seed(seed), numbers));
    }
    assert_counted_once(bench, &before).await?;
    Ok(before)
}

async fn a_batch_and_its_redelivery_at_the_same_time_count_once(bench: Bench) -> Result<()> {
    let mut random = Rng::with_seed(5);
    let facts = random_facts(&mut random, 0..400);
    for (round, batch) in facts.chunks(20).enumerate() {
        // Either may be polled first, and the second redelivery is a part of it.
        let part = &batch[round % 20..];
        let (fresh, again, part) = if round % 2 == 0 {
            tokio::join!(
                bench.apply(batch),
                bench.apply_again(batch),
                bench.apply_again(part)
            )
        } else {
            let (part, again, fresh) = tokio::join!(
                bench.apply_again(part),
                bench.apply_again(batch),
                bench.apply(batch)
            );
            (fresh, again, part)
        };
        let applied = [fresh?, again?, part?];
        let counted: usize = applied.iter().map(|applied| applied.counted).sum();
        assert_eq!(counted, batch.len(), "round {round}: {applied:?}");
    }
    assert_counted_once(&bench, &facts).await
}

async fn fresh_batches_on_the_same_rows_do_not_wait_in_a_circle(bench: Bench) -> Result<()> {
    let mut random = Rng::with_seed(6);
    // A dozen origins, four types and three currencies: every batch touches every row.
    let facts = random_facts(&mut random, 0..3_200);
    let mut deliveries: Vec<Delivery> = facts
        .chunks(100)
        .map(|batch| (batch.to_vec(), false))
        .collect();
    for (batch, _) in &mut deliveries {
        random.shuffle(batch);
    }
    assert_eq!(deliver(&bench, deliveries).await?, facts.len());
    assert_counted_once(&bench, &facts).await
}

/// Without origins, whose rows would make one batch wait for another before they meet in buckets.
async fn fresh_batches_on_the_same_buckets_do_not_wait_in_a_circle(bench: Bench) -> Result<()> {
    let minute = |number: u64| {
        let minutes = i64::try_from(number % 250).expect("a few");
        EventFact {
            at: UnixMillis(NOW.0 - minutes * MINUTE_MS),
            origin_id: None,
            profile_id: None,
            ..fact(number)
        }
    };
    let facts: Vec<EventFact> = (0..8_000).map(minute).collect();
    let mut deliveries: Vec<Delivery> = facts
        .chunks(250)
        .map(|batch| (batch.to_vec(), false))
        .collect();
    for (batch, _) in &mut deliveries {
        Rng::with_seed(7).shuffle(batch);
    }
    assert_eq!(deliver(&bench, deliveries).await?, facts.len());
    assert_counted_once(&bench, &facts).await
}
