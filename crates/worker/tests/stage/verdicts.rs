//! The processor decides about single messages.

use anyhow::Result;
use worker::{Batch, Verdicts};

use crate::bench::{Bench, options};
use crate::notes::Notes;
use crate::scripted::Scripted;

on_both_back_ends! {
    a_message_with_the_verdict_retry_comes_again_and_its_neighbours_do_not,
    a_message_that_keeps_the_verdict_retry_is_given_up_with_the_processors_reason,
    a_message_with_the_verdict_dead_letter_is_given_up_at_once,
}

/// The verdict retry for note 3 until it was delivered so often.
fn retry_three(batch: &Batch<Notes>, deliveries: u32) -> Verdicts {
    let mut verdicts = Verdicts::all_done();
    for received in &batch.messages {
        if received.message.0 == 3 && received.deliveries < deliveries {
            verdicts.retry(received.id, "too_early", "come back later");
        }
    }
    verdicts
}

async fn a_message_with_the_verdict_retry_comes_again_and_its_neighbours_do_not(
    bench: Bench,
) -> Result<()> {
    bench.publish(0..10).await?;
    let processor = Scripted::new(&bench.clock, |batch| Ok(retry_three(batch, 3)));
    let _stage = bench.run(options(), &processor);
    bench.all_done(10).await?;
    let attempts = processor.attempts();
    let given: Vec<Vec<(u32, u32)>> = attempts
        .iter()
        .map(|attempt| attempt.notes.clone())
        .collect();
    let first: Vec<(u32, u32)> = (0..10).map(|number| (number, 1)).collect();
    assert_eq!(given, [first, vec![(3, 2)], vec![(3, 3)]]);
    let repeat: Vec<bool> = attempts
        .iter()
        .flat_map(|attempt| attempt.repeat.iter().copied().take(1))
        .collect();
    assert_eq!(repeat, [false, true, true]);
    Ok(())
}

async fn a_message_that_keeps_the_verdict_retry_is_given_up_with_the_processors_reason(
    bench: Bench,
) -> Result<()> {
    bench.publish(0..10).await?;
    let processor = Scripted::new(&bench.clock, |batch| Ok(retry_three(batch, u32::MAX)));
    let mut options = options();
    options.retry.deliveries_max = 3;
    let _stage = bench.run(options, &processor);
    let group = bench
        .group_when("a dead letter", |group| group.dead == 1)
        .await?;
    assert_eq!((group.done, group.backlog()), (9, 0));
    assert_eq!(processor.attempts_on(3).len(), 3);
    let (number, letter) = bench.dead_letter().await?;
    let facts = (number.as_str(), letter.reason.as_str(), letter.attempts);
    assert_eq!(facts, ("3", "too_early", 3));
    assert!(
        letter.error.starts_with("come back later"),
        "{}",
        letter.error
    );
    Ok(())
}

async fn a_message_with_the_verdict_dead_letter_is_given_up_at_once(bench: Bench) -> Result<()> {
    bench.publish(0..10).await?;
    let processor = Scripted::new(&bench.clock, |batch| {
        let mut verdicts = Verdicts::all_done();
        for received in batch.messages.iter().filter(|one| one.message.0 % 5 == 0) {
            verdicts.dead_letter(received.id, "divisible", "by five");
        }
        Ok(verdicts)
    });
    let _stage = bench.run(options(), &processor);
    let group = bench
        .group_when("two dead letters", |group| group.dead == 2)
        .await?;
    assert_eq!((group.done, group.backlog()), (8, 0));
    assert_eq!(processor.attempts().len(), 1);
    let letters = bench.dead_letters().await?;
    let numbers: Vec<&str> = letters.iter().map(|(number, _)| number.as_str()).collect();
    assert_eq!(numbers, ["0", "5"]);
    for (_, letter) in &letters {
        let words = (letter.reason.as_str(), letter.error.as_str());
        assert_eq!((words, letter.attempts), (("divisible", "by five"), 1));
    }
    Ok(())
}
