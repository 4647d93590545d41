//! A message that was done, and whose work failed later, becomes a letter like any other.

use anyhow::{Context as _, Result};
use bus::{Bus, DeadLetter, LateLetter, MessageId};
use common::{RawFields, Topic as _, UnixMillis};

use crate::Bench;
use crate::notes::{Note, Notes, READERS, notes};
use crate::readers::{Reader, assert_balanced, dead, done, number_of, options};

on_every_back_end! {
    a_late_letter_tells_what_any_letter_tells,
    a_late_letter_is_written_once,
    more_late_letters_than_one_call_takes_are_each_written_once,
    every_letter_is_accounted_for_when_some_are_late,
    a_redriven_late_letter_is_the_same_message_again,
}

/// The letter of a note that was settled under an id.
fn late(note: &Note, id: MessageId) -> LateLetter {
    LateLetter {
        fields: RawFields::of(note),
        group: READERS,
        id: id.to_string(),
        attempts: 3,
        reason: "document_refused".to_owned(),
        error: "the store refused it".to_owned(),
        first_failed_at: UnixMillis(1_700_000_000_000),
        worker: "host-1".to_owned(),
        once: format!("test:late:{id}"),
    }
}

/// Publishes notes, settles them as done, and gives the letters that could be written of them.
async fn settled(bus: &Bus, reader: &mut Reader, sent: &[Note]) -> Result<Vec<LateLetter>> {
    bus.publish::<Notes>(sent).await?;
    let held = reader.take(sent.len()).await?;
    reader.consumer.settle(&done(held.ids())).await?;
    let letters = sent.iter().zip(held.ids());
    Ok(letters.map(|(note, id)| late(note, id)).collect())
}

async fn letters(bus: &Bus) -> Result<Vec<DeadLetter>> {
    Ok(bus
        .dead_letters(&Notes::INFO, MessageId::ZERO, 1_000)
        .await?)
}

async fn a_late_letter_tells_what_any_letter_tells(bench: Bench) -> Result<()> {
    let bus = &bench.bus;
    let mut reader = Reader::join::<Notes>(bus, options());
    let sent = notes(0..1);
    let late = settled(bus, &mut reader, &sent).await?;
    assert_eq!(bus.give_up_late(&Notes::INFO, &late).await?, 1);

    let letter = letters(bus).await?.pop().context("no letter")?;
    let source_id: MessageId = late.first().context("no letter")?.id.parse()?;
    let expected = DeadLetter {
        id: letter.id,
        source_id: Some(source_id),
        first_id: Some(source_id),
        group: READERS.to_owned(),
        reason: "document_refused".to_owned(),
        error: "the store refused it".to_owned(),
        attempts: 3,
        first_failed_at: "2023-11-14T22:13:20.000Z".to_owned(),
        failed_at: letter.failed_at.clone(),
        worker: "host-1".to_owned(),
        part: None,
        fields: sent.iter().map(RawFields::of).next().unwrap_or_default(),
    };
    assert_eq!(letter, expected);
    assert!(letter.failed_at > letter.first_failed_at, "{letter:?}");
    Ok(())
}

async fn a_late_letter_is_written_once(bench: Bench) -> Result<()> {
    let bus = &bench.bus;
    let mut reader = Reader::join::<Notes>(bus, options());
    let mut late = settled(bus, &mut reader, &notes(0..2)).await?;
    late.extend(late.clone());
    for written in [2, 0] {
        assert_eq!(bus.give_up_late(&Notes::INFO, &late).await?, written);
    }
    // What was decided on is not written again, either.
    let ids: Vec<MessageId> = letters(bus).await?.iter().map(|letter| letter.id).collect();
    bus.discard(&Notes::INFO, &ids).await?;
    assert_eq!(bus.give_up_late(&Notes::INFO, &late).await?, 0);
    assert_balanced(bus, &Notes::INFO).await
}

async fn more_late_letters_than_one_call_takes_are_each_written_once(bench: Bench) -> Result<()> {
    let bus = &bench.bus;
    let mut reader = Reader::join::<Notes>(bus, options());
    let late: Vec<LateLetter> = settled(bus, &mut reader, &notes(0..100)).await?;
    let of_parts = late.iter().flat_map(|letter| {
        (0..3).map(move |part| LateLetter {
            once: format!("{}:{part}", letter.once),
            ..letter.clone()
        })
    });
    let late: Vec<LateLetter> = of_parts.collect();
    for written in [300, 0] {
        assert_eq!(bus.give_up_late(&Notes::INFO, &late).await?, written);
    }
    assert_eq!(letters(bus).await?.len(), 300);
    assert_eq!(bus.overview(&Notes::INFO).await?.late, 300);
    assert_balanced(bus, &Notes::INFO).await
}

async fn every_letter_is_accounted_for_when_some_are_late(bench: Bench) -> Result<()> {
    let bus = &bench.bus;
    let mut reader = Reader::join::<Notes>(bus, options());
    let late = settled(bus, &mut reader, &notes(0..3)).await?;
    bus.publish::<Notes>(&notes(3..5)).await?;
    let held = reader.take(2).await?;
    reader.consumer.settle(&dead(held.ids())).await?;
    bus.give_up_late(&Notes::INFO, &late).await?;
    assert_balanced(bus, &Notes::INFO).await?;

    let ids: Vec<MessageId> = letters(bus).await?.iter().map(|letter| letter.id).collect();
    let (redriven, rest) = ids.split_at_checked(2).context("too few letters")?;
    bus.redrive(&Notes::INFO, redriven).await?;
    bus.discard(&Notes::INFO, rest.get(..1).context("too few letters")?)
        .await?;
    assert_balanced(bus, &Notes::INFO).await?;
    let overview = bus.overview(&Notes::INFO).await?;
    let audit = overview.audit();
    assert_eq!((audit.letters, audit.waiting), (5, 2));
    let counts = (overview.late, overview.redriven, overview.discarded);
    assert_eq!(counts, (3, 2, 1));
    Ok(())
}

async fn a_redriven_late_letter_is_the_same_message_again(bench: Bench) -> Result<()> {
    let bus = &bench.bus;
    let mut reader = Reader::join::<Notes>(bus, options());
    let late = settled(bus, &mut reader, &notes(7..8)).await?;
    bus.give_up_late(&Notes::INFO, &late).await?;
    let letter = letters(bus).await?.pop().context("no letter")?;
    bus.redrive(&Notes::INFO, &[letter.id]).await?;

    let (message, _held) = reader.take_one().await?;
    assert_eq!(number_of(&message)?, 7);
    let source = late.first().map(|letter| letter.id.clone());
    assert_eq!(Some(message.first_id.to_string()), source);
    assert!(message.repeat && message.id > message.first_id);
    assert_eq!(letters(bus).await?, []);
    Ok(())
}
