//! Messages come and go in batches; what is no message harms nobody.

use anyhow::Result;
use bus::SubscribeOptions;
use testkit::servers::eventually_async;

use crate::bench::{Bench, SOON, options};
use crate::notes::{Scribble, ScribbledNotes};
use crate::scripted::Scripted;

on_both_back_ends! {
    a_backlog_is_processed_in_full_batches_and_each_message_once,
    what_cannot_be_decoded_is_a_dead_letter_at_once_and_its_neighbours_are_done,
    a_batch_of_nothing_that_can_be_decoded_is_not_shown_to_the_processor,
}

async fn a_backlog_is_processed_in_full_batches_and_each_message_once(bench: Bench) -> Result<()> {
    let usual = SubscribeOptions::default().batch_max;
    assert_eq!(usual, options().batch_max);
    bench.publish(0..1_300).await?;
    let processor = Scripted::finishing(&bench.clock);
    let stage = bench.run(options(), &processor);
    bench.all_done(1_300).await?;

    let attempts = processor.attempts();
    let sizes: Vec<usize> = attempts.iter().map(|attempt| attempt.notes.len()).collect();
    assert_eq!(sizes, [512, 512, 276]);
    let given = attempts.iter().flat_map(|attempt| &attempt.notes);
    assert!(given.copied().eq((0..1_300).map(|number| (number, 1))));
    assert!(stage.health.reasons().is_empty());
    stage.stop.cancel();
    stage.ended().await
}

async fn what_cannot_be_decoded_is_a_dead_letter_at_once_and_its_neighbours_are_done(
    bench: Bench,
) -> Result<()> {
    bench.publish(0..5).await?;
    bench
        .bus
        .publish::<ScribbledNotes>(&[Scribble("seven"), Scribble("-1")])
        .await?;
    bench.publish(7..10).await?;
    let processor = Scripted::finishing(&bench.clock).gated();
    let _stage = bench.run(options(), &processor);
    // At once: the neighbours are still being processed.
    let group = bench
        .group_when("two dead letters", |group| group.dead == 2)
        .await?;
    assert_eq!((group.done, group.pending), (0, 8));
    processor.open_gate();
    bench
        .group_when("the neighbours to be done", |group| group.done == 8)
        .await?;

    let letters = bench.dead_letters().await?;
    let numbers: Vec<&str> = letters.iter().map(|(number, _)| number.as_str()).collect();
    assert_eq!(numbers, ["seven", "-1"]);
    for (number, letter) in &letters {
        assert_eq!(
            (letter.reason.as_str(), letter.attempts),
            ("undecodable", 1)
        );
        assert!(
            letter.error.contains("number"),
            "{number}: {}",
            letter.error
        );
    }
    let given: Vec<u32> = processor.successes().into_keys().collect();
    assert_eq!(given, [0, 1, 2, 3, 4, 7, 8, 9]);
    Ok(())
}

async fn a_batch_of_nothing_that_can_be_decoded_is_not_shown_to_the_processor(
    bench: Bench,
) -> Result<()> {
    bench
        .bus
        .publish::<ScribbledNotes>(&[Scribble(""), Scribble("one")])
        .await?;
    let processor = Scripted::finishing(&bench.clock);
    let _stage = bench.run(options(), &processor);
    let dead = async || bench.group().await.ok().filter(|group| group.dead == 2);
    let group = eventually_async("two dead letters", SOON, dead).await?;
    assert_eq!(group.backlog(), 0, "{group:?}");
    assert!(processor.attempts().is_empty());
    Ok(())
}
