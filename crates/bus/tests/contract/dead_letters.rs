//! A message that is given up keeps its content and tells its story.

use std::time::Duration;

use anyhow::{Context as _, Result};
use bus::{Bus, MessageId, RetryPolicy, SubscribeOptions};
use common::messages::DeadLetter;
use common::{Message as _, Topic as _};
use testkit::servers::eventually_async;

use crate::Bench;
use crate::notes::{Note, Notes, READERS, notes};
use crate::readers::{Reader, SOON, assert_conserved, dead, failed, group, options, short_lease};

on_every_back_end! {
    a_message_that_is_given_up_becomes_a_dead_letter_with_its_provenance,
    a_dead_letter_knows_its_first_and_its_last_failure,
    giving_up_twice_leaves_one_dead_letter,
    a_verdict_on_a_message_that_another_member_owns_does_nothing,
    a_message_that_outlived_all_its_deliveries_is_given_up_without_another,
}

async fn letters(bus: &Bus) -> Result<Vec<DeadLetter>> {
    let stream = Notes::INFO.dead_letters();
    let stored = bus.range(&stream, MessageId::ZERO, 100).await?;
    let decoded = stored.into_iter().map(|m| DeadLetter::decode(m.fields));
    Ok(decoded.collect::<Result<_, _>>()?)
}

async fn only_letter(bus: &Bus) -> Result<DeadLetter> {
    let [letter] = <[DeadLetter; 1]>::try_from(letters(bus).await?)
        .ok()
        .context("there is not one dead letter")?;
    Ok(letter)
}

/// The content of a dead letter as the message that it was.
fn content(letter: &DeadLetter) -> Result<Note> {
    let mut fields = common::RawFields::default();
    for (name, value) in &letter.extra {
        common::FieldSink::field(&mut fields, name, value);
    }
    Ok(Note::decode(fields)?)
}

async fn a_message_that_is_given_up_becomes_a_dead_letter_with_its_provenance(
    bench: Bench,
) -> Result<()> {
    let sent = notes(0..1);
    bench.bus.publish::<Notes>(&sent).await?;
    let mut reader = Reader::join::<Notes>(&bench.bus, options());
    let (message, _held) = reader.take_one().await?;
    let settled = reader.consumer.settle(&dead([message.id])).await?;
    assert_eq!(settled.dead, 1);

    let letter = only_letter(&bench.bus).await?;
    assert_eq!(vec![content(&letter)?], sent);
    let expected = DeadLetter {
        reason: "hopeless".to_owned(),
        error: "hopeless, at length".to_owned(),
        stream: Notes::INFO.name.to_owned(),
        id: message.id.to_string(),
        group: READERS.to_owned(),
        attempts: 1,
        first_failed_at: letter.failed_at,
        failed_at: letter.failed_at,
        worker: reader.consumer.name().to_owned(),
        part: None,
        extra: letter.extra.clone(),
    };
    assert_eq!(letter, expected);
    let published_at = i64::try_from(message.id.major)?;
    assert!((published_at..published_at + 60_000).contains(&letter.failed_at.0));

    let overview = bench.bus.overview(&Notes::INFO).await?;
    assert_eq!(overview.dead_letters, 1);
    let group = group(&bench.bus, &Notes::INFO).await?;
    assert_eq!((group.dead, group.done, group.pending), (1, 0, 0));
    assert_conserved(&bench.bus, &Notes::INFO).await
}

async fn a_dead_letter_knows_its_first_and_its_last_failure(bench: Bench) -> Result<()> {
    let wait = Duration::from_millis(100);
    let patient = SubscribeOptions {
        retry: RetryPolicy {
            base: wait,
            cap: wait,
            deliveries_max: 5,
        },
        ..options()
    };
    bench.bus.publish::<Notes>(&notes(0..1)).await?;
    let mut reader = Reader::join::<Notes>(&bench.bus, patient);
    for _ in 0..2 {
        let (message, _held) = reader.take_one().await?;
        reader.consumer.settle(&failed([message.id])).await?;
    }
    let (message, _held) = reader.take_one().await?;
    reader.consumer.settle(&dead([message.id])).await?;

    let letter = only_letter(&bench.bus).await?;
    assert_eq!(letter.attempts, 3);
    assert_eq!(
        letter.error,
        "hopeless, at length; last failure: timeout: timeout, at length"
    );
    let between = letter.failed_at.0 - letter.first_failed_at.0;
    assert!(between >= 2 * 100 - 2, "{between} ms");
    Ok(())
}

async fn giving_up_twice_leaves_one_dead_letter(bench: Bench) -> Result<()> {
    bench.bus.publish::<Notes>(&notes(0..1)).await?;
    let mut reader = Reader::join::<Notes>(&bench.bus, options());
    let held = reader.take(1).await?;
    for counted in [1, 0] {
        let settled = reader.consumer.settle(&dead(held.ids())).await?;
        assert_eq!(settled.dead, counted);
    }
    only_letter(&bench.bus).await?;
    assert_conserved(&bench.bus, &Notes::INFO).await
}

async fn a_verdict_on_a_message_that_another_member_owns_does_nothing(bench: Bench) -> Result<()> {
    bench.bus.publish::<Notes>(&notes(0..2)).await?;
    let mut lost = Reader::join::<Notes>(&bench.bus, short_lease());
    let held = lost.take(2).await?;
    let lost = lost.die().await;
    let mut owner = Reader::join::<Notes>(&bench.bus, short_lease());
    let taken_over = owner.take(2).await?;
    assert_eq!(taken_over.ids(), held.ids());

    assert_eq!(lost.settle(&dead(held.ids())).await?.dead, 0);
    assert_eq!(lost.settle(&failed(held.ids())).await?.retried, 0);
    assert!(letters(&bench.bus).await?.is_empty());
    let untouched = group(&bench.bus, &Notes::INFO).await?;
    assert_eq!((untouched.pending, untouched.retrying), (2, 0));
    assert_eq!(owner.consumer.settle(&dead(held.ids())).await?.dead, 2);
    Ok(())
}

async fn a_message_that_outlived_all_its_deliveries_is_given_up_without_another(
    bench: Bench,
) -> Result<()> {
    let twice = || SubscribeOptions {
        retry: RetryPolicy {
            deliveries_max: 2,
            ..short_lease().retry
        },
        ..short_lease()
    };
    bench.bus.publish::<Notes>(&notes(0..1)).await?;
    for deliveries in [1, 2] {
        let mut victim = Reader::join::<Notes>(&bench.bus, twice());
        let (message, _held) = victim.take_one().await?;
        assert_eq!(message.deliveries, deliveries);
        victim.die().await;
    }
    let mut survivor = Reader::join::<Notes>(&bench.bus, twice());
    let letter = eventually_async("the dead letter", SOON, async || {
        only_letter(&bench.bus).await.ok()
    })
    .await?;
    assert_eq!(letter.reason, "deliveries_exhausted");
    assert_eq!(letter.attempts, 2);
    assert_conserved(&bench.bus, &Notes::INFO).await?;

    bench.bus.publish::<Notes>(&notes(1..2)).await?;
    assert_eq!(
        survivor.finish(1).await?,
        [1],
        "the first was not delivered"
    );
    Ok(())
}
