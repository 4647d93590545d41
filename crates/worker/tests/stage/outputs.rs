//! What a message causes appears in the step that settles it.

use std::time::Duration;

use anyhow::{Result, anyhow};
use bus::{MessageId, Once, OnceRule, Settlement};
use common::{Message as _, Topic as _};
use testkit::servers::eventually_async;
use worker::{Batch, CancellationToken, Verdicts};

use crate::bench::{Bench, SOON, options};
use crate::notes::{Answers, Note, Notes, READERS};
use crate::scripted::{Scripted, has_any};

on_both_back_ends! {
    outputs_are_published_when_their_causes_are_settled,
    what_is_not_done_publishes_nothing,
    a_claim_lets_an_output_out_once,
    a_message_that_somebody_else_settled_publishes_nothing,
}

/// An answer to each note.
fn answer(batch: &Batch<Notes>) -> Verdicts {
    let mut verdicts = Verdicts::all_done();
    for received in &batch.messages {
        verdicts.publish::<Answers>(received.id, &Note(1_000 + received.message.0));
    }
    verdicts
}

async fn answers(bench: &Bench) -> Result<Vec<u32>> {
    let stored = bench
        .bus
        .range(Answers::INFO.name, MessageId::ZERO, 1_000)
        .await?;
    let numbers = stored.into_iter().map(|answer| Note::decode(answer.fields));
    Ok(numbers
        .map(|note| note.map(|note| note.0))
        .collect::<Result<_, _>>()?)
}

async fn outputs_are_published_when_their_causes_are_settled(bench: Bench) -> Result<()> {
    bench.publish(0..600).await?;
    // A batch that is taken apart publishes for each message once.
    let processor = Scripted::new(&bench.clock, |batch| {
        if batch.messages.len() > 100 {
            return Err(anyhow!("too many"));
        }
        Ok(answer(batch))
    });
    let gated = processor.gated();
    let _stage = bench.run(options(), &gated);
    let working = async || (!gated.attempts().is_empty()).then_some(());
    eventually_async("a batch at work", SOON, working).await?;
    assert!(answers(&bench).await?.is_empty());
    gated.open_gate();
    bench.all_done(600).await?;
    assert_eq!(answers(&bench).await?, (1_000..1_600).collect::<Vec<_>>());
    Ok(())
}

async fn what_is_not_done_publishes_nothing(bench: Bench) -> Result<()> {
    bench.publish(0..4).await?;
    let processor = Scripted::new(&bench.clock, |batch| {
        let mut verdicts = answer(batch);
        for received in &batch.messages {
            match received.message.0 {
                1 => verdicts.retry(received.id, "later", "later"),
                2 => verdicts.dead_letter(received.id, "never", "never"),
                _ => {}
            }
        }
        Ok(verdicts)
    });
    let mut options = options();
    options.retry.deliveries_max = 2;
    let _stage = bench.run(options, &processor);
    let group = bench
        .group_when("all to be settled", |group| group.done + group.dead == 4)
        .await?;
    assert_eq!((group.done, group.dead), (2, 2));
    assert_eq!(answers(&bench).await?, [1_000, 1_003]);
    Ok(())
}

async fn a_claim_lets_an_output_out_once(bench: Bench) -> Result<()> {
    bench.publish([7, 7, 8, 7]).await?;
    let processor = Scripted::new(&bench.clock, |batch| {
        let mut verdicts = Verdicts::all_done();
        for received in &batch.messages {
            let once = Once {
                key: format!("test:answered:{}", received.message.0),
                claimant: READERS,
                window: Duration::from_hours(1),
                rule: OnceRule::Unclaimed,
            };
            verdicts.publish_once::<Answers>(received.id, &received.message, once);
        }
        Ok(verdicts)
    });
    let _stage = bench.run(options(), &processor);
    bench.all_done(4).await?;
    assert_eq!(answers(&bench).await?, [7, 8]);
    Ok(())
}

async fn a_message_that_somebody_else_settled_publishes_nothing(bench: Bench) -> Result<()> {
    bench.publish(0..3).await?;
    let processor = Scripted::new(&bench.clock, |batch| {
        assert!(has_any(batch, &[0, 1, 2]));
        Ok(answer(batch))
    });
    let processor = processor.gated();
    let _stage = bench.run(options(), &processor);
    let working = async || (!processor.attempts().is_empty()).then_some(());
    eventually_async("a batch at work", SOON, working).await?;
    let stored = bench
        .bus
        .range(Notes::INFO.name, MessageId::ZERO, 3)
        .await?;
    let stop = CancellationToken::new();
    let other = bench.bus.subscribe(Notes::INFO, READERS, options(), stop);
    let settlement = Settlement {
        done: stored
            .iter()
            .map(|message| message.id)
            .skip(1)
            .take(1)
            .collect(),
        ..Settlement::default()
    };
    assert_eq!(other.consumer.settle(&settlement).await?.done, 1);

    processor.open_gate();
    bench.all_done(3).await?;
    assert_eq!(answers(&bench).await?, [1_000, 1_002]);
    Ok(())
}
