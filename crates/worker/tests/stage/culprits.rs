//! A message that makes its whole batch fail is found, and only it pays.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow};
use testkit::servers::eventually_async;
use worker::{Batch, Verdicts};

use crate::bench::{Bench, SOON, TestClock, options};
use crate::notes::Notes;
use crate::scripted::{Scripted, has_any};

const BATCH: u32 = 500;

/// Runs 500 messages with these culprits to the end, at a time that the test moves, and checks that
/// nobody else paid.
async fn only_the_culprits_pay(
    culprits: &'static [u32],
    script: impl Fn(&Batch<Notes>) -> Result<Verdicts> + Send + Sync + 'static,
) -> Result<(Bench, Scripted)> {
    let (bench, clock) = Bench::out_of_time();
    bench.publish(0..BATCH).await?;
    let processor = Scripted::new(&bench.clock, script);
    let stage = bench.run(options(), &processor);
    let guilty = u64::try_from(culprits.len())?;
    let innocent = u64::from(BATCH) - guilty;
    let group = bench
        .group_when("all but the culprits to be done", |group| {
            group.done == innocent && group.retrying == guilty
        })
        .await?;
    assert_eq!((group.pending, group.dead), (guilty, 0));
    go_on_until_dead(&bench, &clock, guilty).await?;

    let innocents: Vec<u32> = (0..BATCH).filter(|n| !culprits.contains(n)).collect();
    let successes = processor.successes();
    assert!(successes.keys().eq(&innocents) && successes.values().all(|times| *times == 1));
    assert_eq!(bench.group().await?.done, innocent);
    assert!(stage.health.reasons().is_empty());
    Ok((bench, processor))
}

async fn go_on_until_dead(bench: &Bench, clock: &Arc<TestClock>, count: u64) -> Result<()> {
    let all_dead = async || {
        clock.advance();
        let group = bench.group().await.ok()?;
        (group.dead == count && group.pending == 0).then_some(())
    };
    eventually_async("the culprits to be given up", SOON, all_dead).await
}

/// After its first failure a culprit comes alone, later each time, until it is given up.
fn check_attempts(processor: &Scripted, culprit: u32) {
    let alone = |attempts: &[crate::scripted::Attempt]| {
        attempts
            .iter()
            .filter(|attempt| attempt.notes.len() == 1)
            .cloned()
            .collect::<Vec<_>>()
    };
    let attempts = alone(&processor.attempts_on(culprit));
    let deliveries: Vec<u32> = attempts
        .iter()
        .flat_map(|attempt| attempt.notes.iter().map(|(_, deliveries)| *deliveries))
        .collect();
    assert_eq!(deliveries, [1, 2, 3, 4, 5]);
    let mut wait = options().retry.base;
    for pair in attempts.windows(2) {
        let [before, after] = pair else { continue };
        let waited = u64::try_from(after.at.0 - before.at.0).unwrap_or(0);
        assert!(Duration::from_millis(waited) >= wait, "{waited} < {wait:?}");
        wait *= 2;
    }
}

#[tokio::test]
async fn one_culprit_among_five_hundred_is_found_retried_later_each_time_and_given_up() -> Result<()>
{
    let (bench, processor) = only_the_culprits_pay(&[317], |batch| {
        if has_any(batch, &[317]) {
            return Err(anyhow!("number too large")).context("adding up");
        }
        Ok(Verdicts::all_done())
    })
    .await?;
    check_attempts(&processor, 317);
    let (number, letter) = bench.dead_letter().await?;
    assert_eq!(number, "317");
    assert_eq!(letter.reason, "processing_failed");
    assert!(
        letter.error.starts_with("adding up: number too large"),
        "{}",
        letter.error
    );
    assert_eq!(letter.attempts, 5);
    assert!(letter.failed_at > letter.first_failed_at);
    Ok(())
}

#[tokio::test]
async fn halving_finds_a_culprit_in_few_attempts() -> Result<()> {
    let (_bench, processor) = only_the_culprits_pay(&[499], |batch| {
        if has_any(batch, &[499]) {
            return Err(anyhow!("the last one"));
        }
        Ok(Verdicts::all_done())
    })
    .await?;
    // Once in full, both halves of nine splits, and four more times alone.
    assert!(processor.attempts().len() <= 1 + 2 * 9 + 4);
    Ok(())
}

#[tokio::test]
async fn two_culprits_are_found_wherever_they_are() -> Result<()> {
    for culprits in [&[0, 499], &[137, 402], &[250, 251]] {
        let (bench, processor) = only_the_culprits_pay(culprits, move |batch| {
            if has_any(batch, culprits) {
                return Err(anyhow!("no"));
            }
            Ok(Verdicts::all_done())
        })
        .await?;
        for culprit in culprits {
            check_attempts(&processor, *culprit);
        }
        assert_eq!(bench.dead_letters().await?.len(), 2);
    }
    Ok(())
}

#[tokio::test]
async fn a_message_that_makes_the_processor_panic_is_a_culprit_like_any_other() -> Result<()> {
    let (bench, processor) = only_the_culprits_pay(&[42], |batch| {
        assert!(!has_any(batch, &[42]), "the answer was {}", 42);
        Ok(Verdicts::all_done())
    })
    .await?;
    check_attempts(&processor, 42);
    let (number, letter) = bench.dead_letter().await?;
    assert_eq!(
        (number.as_str(), letter.reason.as_str()),
        ("42", "panicked")
    );
    assert!(
        letter.error.starts_with("the answer was 42"),
        "{}",
        letter.error
    );
    Ok(())
}

#[tokio::test]
async fn a_message_that_succeeds_after_a_failure_is_done() -> Result<()> {
    let (bench, clock) = Bench::out_of_time();
    bench.publish(0..BATCH).await?;
    let processor = Scripted::new(&bench.clock, |batch| {
        let mut received = batch.messages.iter();
        let fails = received.any(|received| received.message.0 == 5 && received.deliveries < 3);
        if fails {
            return Err(anyhow!("not yet"));
        }
        Ok(Verdicts::all_done())
    });
    let _stage = bench.run(options(), &processor);
    let all_done = async || {
        clock.advance();
        let group = bench.group().await.ok()?;
        (group.done == u64::from(BATCH)).then_some(group)
    };
    let group = eventually_async("all to be done", SOON, all_done).await?;
    assert_eq!((group.dead, group.pending, group.retrying), (0, 0, 0));
    assert!(processor.successes().values().all(|times| *times == 1));
    Ok(())
}

on_both_back_ends! {
    an_error_text_without_end_is_kept_in_part,
}

async fn an_error_text_without_end_is_kept_in_part(bench: Bench) -> Result<()> {
    bench.publish(0..2).await?;
    let processor = Scripted::new(&bench.clock, |batch| {
        if has_any(batch, &[1]) {
            return Err(anyhow!("é".repeat(1_000_000)));
        }
        Ok(Verdicts::all_done())
    });
    let mut options = options();
    options.retry.deliveries_max = 1;
    let _stage = bench.run(options, &processor);
    bench
        .group_when("one dead letter", |group| {
            group.dead == 1 && group.done == 1
        })
        .await?;
    let letters = bench.dead_letters().await?;
    let lengths: Vec<usize> = letters
        .iter()
        .map(|(_, letter)| letter.error.chars().count())
        .collect();
    assert_eq!(lengths, [1_000]);
    Ok(())
}
