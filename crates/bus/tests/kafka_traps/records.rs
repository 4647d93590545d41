//! What lies in a topic may be anything, and of any size.

use anyhow::{Context as _, Result};
use bus::{BusError, MessageId, Redriven};
use common::{RawFields, Topic as _};

use crate::bench::Bench;
use crate::notes::{Note, Notes, notes};
use crate::readers::{Reader, assert_balanced, dead, failed, options};

/// Trap: a record that is no message ends the loop of a consumer, or is dropped. Remedy: it is a
/// message of one field, its bytes.
#[tokio::test]
async fn poison_becomes_letters_that_are_redriven_as_the_same_bytes() -> Result<()> {
    let Some(bench) = Bench::shared()? else {
        return Ok(());
    };
    let bus = &bench.bus;
    bus.open_groups(&[Notes::INFO]).await?;
    let poison: [&[u8]; 4] = [b"", b"[1]", b"{\"number\":", b"\xff\x00\xfe"];
    bench.append(&poison).await?;
    let mut reader = Reader::join::<Notes>(bus, options());
    let held = reader.take(poison.len()).await?;
    let sent: Vec<RawFields> = held.messages().map(|m| m.fields.clone()).collect();
    assert!(sent.iter().all(|fields| fields.0.len() == 1), "{sent:?}");
    reader.consumer.settle(&dead(held.ids())).await?;
    drop(held);
    let letters = bus.dead_letters(&Notes::INFO, MessageId::ZERO, 10).await?;
    let kept: Vec<&RawFields> = letters.iter().map(|letter| &letter.fields).collect();
    assert_eq!(kept, sent.iter().collect::<Vec<_>>());

    let ids: Vec<MessageId> = letters.iter().map(|letter| letter.id).collect();
    bus.redrive(&Notes::INFO, &ids).await?;
    let again = reader.take(poison.len()).await?;
    for ((message, letter), fields) in again.messages().zip(&letters).zip(&sent) {
        assert_eq!(&message.fields, fields);
        assert_eq!(Some(message.first_id), letter.first_id);
    }
    assert_balanced(bus, &Notes::INFO).await
}

/// Trap: other programs write numbers and objects where Millrace writes texts.
#[tokio::test]
async fn a_record_of_another_program_is_a_message() -> Result<()> {
    let Some(bench) = Bench::shared()? else {
        return Ok(());
    };
    bench.bus.open_groups(&[Notes::INFO]).await?;
    bench
        .append(&[br#"{"number": 7, "colour": {"hue": 1}}"#])
        .await?;
    let mut reader = Reader::join::<Notes>(&bench.bus, options());
    let (message, _held) = reader.take_one().await?;
    let note = <Note as common::Message>::decode(message.fields)?;
    let colour = ("colour".to_owned(), r#"{"hue": 1}"#.to_owned());
    assert_eq!((note.number, note.extra), (7, vec![colour]));
    Ok(())
}

/// Trap: a message that just fits does not fit any more with what is noted when it fails. Remedy:
/// the topics of retries and letters take more.
#[tokio::test]
async fn the_largest_message_can_fail_and_be_given_up_and_a_larger_one_is_refused() -> Result<()> {
    let Some(bench) = Bench::shared()? else {
        return Ok(());
    };
    let bus = bench.another(|settings| settings.kafka_message_bytes_max = 100_000)?;
    let note = |bytes| Note {
        number: 1,
        extra: vec![("text".to_owned(), "x".repeat(bytes))],
    };
    let mut reader = Reader::join::<Notes>(&bus, options());
    bus.publish::<Notes>(&[note(99_800)]).await?;
    let refused = bus.publish::<Notes>(&[note(101_000)]).await;
    assert!(matches!(refused, Err(BusError::Declined(_))), "{refused:?}");

    let (message, held) = reader.take_one().await?;
    assert_eq!(
        reader.consumer.settle(&failed([message.id])).await?.retried,
        1
    );
    drop(held);
    let (again, _held) = reader.take_one().await?;
    assert_eq!(again.fields, message.fields);
    assert_eq!(reader.consumer.settle(&dead([again.id])).await?.dead, 1);
    let letters = bus.dead_letters(&Notes::INFO, MessageId::ZERO, 10).await?;
    let letter = letters.first().context("a letter")?;
    assert_eq!(letter.fields, message.fields);
    let redriven = bus.redrive(&Notes::INFO, &[letter.id]).await?;
    assert!(matches!(redriven.as_slice(), [Redriven::As(_)]));
    assert_balanced(&bus, &Notes::INFO).await
}

/// Trap: marks of transactions take offsets, and whoever takes offsets for messages miscounts.
/// Remedy: what was passed over is noted as holes.
#[tokio::test]
async fn marks_of_transactions_are_no_messages() -> Result<()> {
    let Some(bench) = Bench::shared()? else {
        return Ok(());
    };
    let bus = &bench.bus;
    let mut reader = Reader::join::<Notes>(bus, options());
    for round in 0..5 {
        bus.publish::<Notes>(&notes(round..=round)).await?;
        let (message, _held) = reader.take_one().await?;
        reader.consumer.settle(&dead([message.id])).await?;
        let letters = bus.dead_letters(&Notes::INFO, MessageId::ZERO, 10).await?;
        let ids: Vec<MessageId> = letters.iter().map(|letter| letter.id).collect();
        bus.redrive(&Notes::INFO, &ids).await?;
        assert_balanced(bus, &Notes::INFO).await?;
        reader.finish(1).await?;
        assert_balanced(bus, &Notes::INFO).await?;
    }
    let overview = bus.overview(&Notes::INFO).await?;
    assert_eq!((overview.published, overview.redriven), (10, 5));
    Ok(())
}
