//! A message is known by the id under which it was first published, however often it is redriven.

use anyhow::{Context as _, Result};
use bus::{Bus, DeadLetter, Delivery, MessageId, Redriven};
use common::messages::REDRIVEN_FROM;
use common::topics::TopicInfo;
use common::{RawFields, Topic};

use crate::Bench;
use crate::notes::{Note, Notes, notes};
use crate::readers::{Held, Reader, assert_balanced, dead, failed, options};

on_every_back_end! {
    a_message_that_was_never_redriven_is_known_by_its_own_id,
    a_redriven_message_keeps_its_first_id_however_often_it_comes_back,
    a_field_of_that_name_that_the_bus_did_not_write_is_the_messages_own,
    a_letter_of_somebody_else_is_redriven_with_the_id_that_it_tells,
}

/// Letters as somebody else writes them.
struct Letters;

impl Topic for Letters {
    type Message = Note;
    const INFO: TopicInfo = TopicInfo {
        name: "test.notes.dlq",
        groups: &[],
        retained: 0,
        key: "number",
        home: common::topics::Home::Bus,
    };
}

/// A note that ends with a field.
fn ending_with(name: &str, value: &str) -> Note {
    Note {
        number: 1,
        extra: vec![(name.to_owned(), value.to_owned())],
    }
}

async fn only_letter(bus: &Bus) -> Result<DeadLetter> {
    let all = bus
        .dead_letters(&Notes::INFO, MessageId::ZERO, 1_000)
        .await?;
    let [letter] = <[DeadLetter; 1]>::try_from(all)
        .ok()
        .context("there is not one letter")?;
    Ok(letter)
}

/// The fields as they lie in a stream.
async fn stored(bus: &Bus, stream: &str, id: MessageId) -> Result<RawFields> {
    let found = bus.range(stream, id, 1).await?.into_iter().next();
    Ok(found.context("it is not there")?.fields)
}

/// Gives a message up and redrives it; gives its letter and how it comes again.
async fn redrive(
    bus: &Bus,
    reader: &mut Reader,
    id: MessageId,
) -> Result<(DeadLetter, Delivery, Held)> {
    reader.consumer.settle(&dead([id])).await?;
    let letter = only_letter(bus).await?;
    bus.redrive(&Notes::INFO, &[letter.id]).await?;
    let (message, held) = reader.take_one().await?;
    Ok((letter, message, held))
}

async fn a_message_that_was_never_redriven_is_known_by_its_own_id(bench: Bench) -> Result<()> {
    let bus = &bench.bus;
    let mut reader = Reader::join::<Notes>(bus, options());
    bus.publish::<Notes>(&notes(0..1)).await?;
    let (fresh, held) = reader.take_one().await?;
    assert_eq!((fresh.first_id, fresh.repeat), (fresh.id, false));
    reader.consumer.settle(&failed([fresh.id])).await?;
    drop(held);
    let (again, _held) = reader.take_one().await?;
    assert_eq!((again.first_id, again.repeat), (fresh.id, true));
    reader.consumer.settle(&dead([fresh.id])).await?;
    let letter = only_letter(bus).await?;
    assert_eq!(
        (letter.source_id, letter.first_id),
        (Some(fresh.id), Some(fresh.id))
    );
    Ok(())
}

async fn a_redriven_message_keeps_its_first_id_however_often_it_comes_back(
    bench: Bench,
) -> Result<()> {
    let bus = &bench.bus;
    let mut reader = Reader::join::<Notes>(bus, options());
    bus.publish::<Notes>(&notes(0..1)).await?;
    let (first, _held) = reader.take_one().await?;
    let mut id = first.id;
    for _ in 0..3 {
        let (letter, message, held) = redrive(bus, &mut reader, id).await?;
        assert_eq!(
            (letter.source_id, letter.first_id),
            (Some(id), Some(first.id))
        );
        assert_eq!(letter.fields, first.fields);
        assert!(message.id > id && message.repeat && message.deliveries == 1);
        assert_eq!(
            (message.first_id, &message.fields),
            (first.id, &first.fields)
        );
        // One field more, and never two.
        let mut expected = first.fields.clone();
        let value = first.id.to_string().into_bytes();
        expected.0.push((REDRIVEN_FROM.into(), value));
        assert_eq!(stored(bus, Notes::INFO.name, message.id).await?, expected);

        // It fails, and comes another way.
        reader.consumer.settle(&failed([message.id])).await?;
        drop(held);
        let (retried, _held) = reader.take_one().await?;
        assert_eq!((retried.id, retried.first_id), (message.id, first.id));
        assert_eq!((&retried.fields, retried.deliveries), (&first.fields, 2));
        id = message.id;
    }
    assert_balanced(bus, &Notes::INFO).await
}

async fn a_field_of_that_name_that_the_bus_did_not_write_is_the_messages_own(
    bench: Bench,
) -> Result<()> {
    let bus = &bench.bus;
    let mut reader = Reader::join::<Notes>(bus, options());
    for value in ["", "x", "5", "+5-1", "05-1", "5-01", "9999999999999-0"] {
        let note = ending_with(REDRIVEN_FROM, value);
        let fields = RawFields::of(&note);
        bus.publish::<Notes>(&[note]).await?;
        let (own, _held) = reader.take_one().await?;
        assert_eq!((own.first_id, own.repeat), (own.id, false), "{value}");
        assert_eq!(own.fields, fields, "{value}");
        let (letter, message, _held) = redrive(bus, &mut reader, own.id).await?;
        assert_eq!((letter.first_id, &letter.fields), (Some(own.id), &fields));
        assert_eq!(
            (message.first_id, message.fields),
            (own.id, fields),
            "{value}"
        );
    }
    // What is written as the bus writes it is believed.
    let redriven = ending_with(REDRIVEN_FROM, "5-1");
    bus.publish::<Notes>(&[redriven]).await?;
    let (message, _held) = reader.take_one().await?;
    let first_id = MessageId { major: 5, minor: 1 };
    assert_eq!((message.first_id, message.repeat), (first_id, true));
    let (letter, again, _held) = redrive(bus, &mut reader, message.id).await?;
    assert_eq!(
        (letter.first_id, again.first_id),
        (Some(first_id), first_id)
    );
    assert_eq!(again.fields, message.fields);
    Ok(())
}

async fn a_letter_of_somebody_else_is_redriven_with_the_id_that_it_tells(
    bench: Bench,
) -> Result<()> {
    let bus = &bench.bus;
    let mut reader = Reader::join::<Notes>(bus, options());
    for (name, value, told) in [
        ("dlq_id", "5-1", Some(MessageId { major: 5, minor: 1 })),
        ("dlq_id", "05-1", None),
        ("dlq_id", "nowhere", None),
        ("dlq_reason", "5-1", None),
    ] {
        let letters = bus.publish::<Letters>(&[ending_with(name, value)]).await?;
        let letter = only_letter(bus).await?;
        assert_eq!((letter.source_id, letter.first_id), (told, told), "{value}");
        let redriven = bus.redrive(&Notes::INFO, &letters).await?;
        let (message, _held) = reader.take_one().await?;
        assert_eq!(redriven, [Redriven::As(message.id)]);
        let first_id = told.unwrap_or(message.id);
        assert_eq!(
            (message.first_id, message.repeat),
            (first_id, told.is_some())
        );
        assert_eq!(message.fields, letter.fields, "{value}");
        let count = letter.fields.0.len() + usize::from(told.is_some());
        let published = stored(bus, Notes::INFO.name, message.id).await?;
        assert_eq!(published.0.len(), count, "{value}");
    }
    Ok(())
}
