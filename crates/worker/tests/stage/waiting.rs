//! A dependency that is down is nobody's fault: the stage waits and burns no attempts.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context as _, Error, Result, anyhow};
use bus::BusError;
use common::Unavailable;
use testkit::servers::eventually_async;
use worker::Verdicts;

use crate::bench::{Bench, SHORT, SOON, options, short_lease};
use crate::scripted::{Scripted, has_any};

on_both_back_ends! {
    a_stage_waits_for_what_is_down_says_why_and_counts_no_attempt,
    after_an_attempt_that_failed_every_message_of_the_batch_is_a_repeat,
    a_dependency_that_is_down_is_told_from_a_culprit_while_a_batch_is_taken_apart,
    the_lease_is_renewed_while_a_stage_waits_and_nobody_else_gets_the_batch,
}

/// A switch that a test and a script share.
pub(crate) fn switch(on: bool) -> (Arc<AtomicBool>, Arc<AtomicBool>) {
    let switch = Arc::new(AtomicBool::new(on));
    (Arc::clone(&switch), switch)
}

/// As the stores wrap it.
#[derive(Debug, thiserror::Error)]
enum StoreError {
    #[error("{0}")]
    Unavailable(#[from] Unavailable),
}

/// As a store wraps the store that it is built on.
#[derive(Debug, thiserror::Error)]
#[error("counting")]
struct Counting(#[source] StoreError);

fn refused() -> Unavailable {
    Unavailable::new("sql", "connection refused")
}

/// The errors by which a processor may say that a dependency is down.
const DOWN: [fn() -> Error; 6] = [
    || refused().into(),
    || Error::new(refused()).context("reading").context("counting"),
    || BusError::from(refused()).into(),
    || Error::new(BusError::from(refused())).context("publishing"),
    || StoreError::from(refused()).into(),
    || Error::new(Counting(refused().into())).context("a batch"),
];

async fn a_stage_waits_for_what_is_down_says_why_and_counts_no_attempt(bench: Bench) -> Result<()> {
    let mut done = 0;
    for down in DOWN {
        let (is_down, switch) = switch(true);
        let processor = Scripted::new(&bench.clock, move |_| {
            if is_down.load(Ordering::Relaxed) {
                return Err(down());
            }
            Ok(Verdicts::all_done())
        });
        bench.publish(0..20).await?;
        let stage = bench.run(options(), &processor);
        let why = stage
            .waits()
            .await
            .with_context(|| format!("{:?}", down()))?;
        assert_eq!(why, "sql is unavailable: connection refused");
        let twice = async || (processor.attempts().len() >= 2).then_some(());
        eventually_async("another attempt", SOON, twice).await?;
        let group = bench.group().await?;
        assert_eq!((group.pending, group.retrying, group.dead), (20, 0, 0));

        switch.store(false, Ordering::Relaxed);
        done += 20;
        bench.all_done(done).await?;
        assert!(stage.health.reasons().is_empty());
        for attempt in processor.attempts() {
            assert!(attempt.notes.iter().all(|(_, deliveries)| *deliveries == 1));
            assert_eq!(attempt.notes.len(), 20, "nothing was taken apart");
        }
        stage.stop.cancel();
        stage.ended().await?;
    }
    Ok(())
}

/// A commit may have taken place although its answer got lost.
async fn after_an_attempt_that_failed_every_message_of_the_batch_is_a_repeat(
    bench: Bench,
) -> Result<()> {
    for error in [|| Error::new(refused()), || anyhow!("something else")] {
        let (is_first, _) = switch(true);
        let processor = Scripted::new(&bench.clock, move |_| {
            if is_first.swap(false, Ordering::Relaxed) {
                return Err(error());
            }
            Ok(Verdicts::all_done())
        });
        let before = bench.group().await.map_or(0, |group| group.done);
        bench.publish(0..8).await?;
        let stage = bench.run(options(), &processor);
        bench.all_done(before + 8).await?;
        let attempts = processor.attempts();
        let (first, later) = attempts.split_first().context("no attempt")?;
        assert_eq!(first.repeat, [false; 8]);
        let repeats: Vec<bool> = later.iter().flat_map(|one| one.repeat.clone()).collect();
        assert_eq!(repeats, [true; 8]);
        stage.stop.cancel();
        stage.ended().await?;
    }
    Ok(())
}

async fn a_dependency_that_is_down_is_told_from_a_culprit_while_a_batch_is_taken_apart(
    bench: Bench,
) -> Result<()> {
    let (is_down, switch) = switch(true);
    let processor = Scripted::new(&bench.clock, move |batch| {
        match has_any(batch, &[7]) {
            true => Err(anyhow!("a culprit")),
            // It goes down after the culprit was seen.
            false if is_down.load(Ordering::Relaxed) => Err(refused().into()),
            false => Ok(Verdicts::all_done()),
        }
    });
    let mut options = options();
    options.retry.deliveries_max = 1;
    bench.publish(0..8).await?;
    let stage = bench.run(options, &processor);
    stage.waits().await?;
    assert_eq!(bench.group().await?.done, 0);
    switch.store(false, Ordering::Relaxed);
    let group = bench
        .group_when("all to be settled", |group| group.done + group.dead == 8)
        .await?;
    assert_eq!((group.done, group.dead), (7, 1));
    assert!(stage.health.reasons().is_empty());
    let letters = bench.dead_letters().await?;
    assert!(
        letters.iter().all(|(number, _)| number == "7"),
        "{letters:?}"
    );
    Ok(())
}

async fn the_lease_is_renewed_while_a_stage_waits_and_nobody_else_gets_the_batch(
    bench: Bench,
) -> Result<()> {
    let (is_down, switch) = switch(true);
    let waiting = Scripted::new(&bench.clock, move |_| {
        if is_down.load(Ordering::Relaxed) {
            return Err(refused().into());
        }
        Ok(Verdicts::all_done())
    });
    bench.publish(0..20).await?;
    let stage = bench.run(short_lease(), &waiting);
    stage.waits().await?;
    let idle = Scripted::finishing(&bench.clock);
    let _peer = bench.run(short_lease(), &idle);
    bench
        .group_when("three leases to pass", |group| {
            group.oldest_pending_age.is_some_and(|age| age > SHORT * 3)
        })
        .await?;
    assert_eq!(idle.attempts().len(), 0);
    switch.store(false, Ordering::Relaxed);
    bench.all_done(20).await?;
    assert_eq!(idle.attempts().len(), 0);
    assert_eq!(waiting.successes().len(), 20);
    Ok(())
}
