//! Settling much at once, what is not one's own, and what no program of ours wrote.

use anyhow::{Context as _, Result};
use bus::{MessageId, SubscribeOptions};
use common::messages::DeadLetter;
use common::{Message as _, RawFields, Topic as _};

use crate::bench::Bench;
use crate::notes::{Note, Notes, notes};
use crate::readers::{Reader, assert_conserved, dead, done, failed, group, options};

const STREAM: &str = Notes::INFO.name;

/// Lua's `unpack` fails near 8,000 values. Remedy: 500 messages in a call.
#[tokio::test]
async fn thousands_of_messages_are_settled_at_once_whatever_becomes_of_them() -> Result<()> {
    let Some(bench) = Bench::start()? else {
        return Ok(());
    };
    bench.bus.publish::<Notes>(&notes(0..14_000)).await?;
    let all_at_once = SubscribeOptions {
        batch_max: 2_000,
        ..options()
    };
    let mut reader = Reader::join::<Notes>(&bench.bus, all_at_once);
    let many = reader.take(10_000).await?.ids();
    assert_eq!(reader.consumer.settle(&done(many)).await?.done, 10_000);
    let hopeless = reader.take(2_000).await?.ids();
    assert_eq!(reader.consumer.settle(&dead(hopeless)).await?.dead, 2_000);
    let unlucky = reader.take(2_000).await?.ids();
    let settled = reader.consumer.settle(&failed(unlucky)).await?;
    assert_eq!(settled.retried, 2_000);
    assert_conserved(&bench.bus, &Notes::INFO).await
}

/// XACK does not ask who owns a message. Remedy: the script that gives up asks first, and writes
/// nothing for a message that somebody else has or has finished.
#[tokio::test]
async fn a_message_that_was_lost_to_others_leaves_no_dead_letter() -> Result<()> {
    let Some(bench) = Bench::start()? else {
        return Ok(());
    };
    bench.bus.publish::<Notes>(&notes(0..2)).await?;
    let mut reader = Reader::join::<Notes>(&bench.bus, options());
    let held = reader.take(2).await?;
    let ids: Vec<String> = held.ids().iter().map(MessageId::to_string).collect();
    let [stolen, finished] = <[String; 2]>::try_from(ids).ok().context("two messages")?;
    bench.cli(&["XCLAIM", STREAM, "readers", "thief", "0", &stolen])?;
    bench.cli(&["XACK", STREAM, "readers", &finished])?;

    assert_eq!(reader.consumer.settle(&dead(held.ids())).await?.dead, 0);
    assert_eq!(
        reader.consumer.settle(&failed(held.ids())).await?.retried,
        0
    );
    assert_eq!(bench.cli(&["XLEN", &Notes::INFO.dead_letters()])?, "0");
    let owner = bench.cli(&["XPENDING", STREAM, "readers", "-", "+", "10"])?;
    assert!(owner.contains("thief"), "{owner}");
    assert_eq!(group(&bench.bus, &Notes::INFO).await?.pending, 1);
    Ok(())
}

/// Anybody can write anything into a stream. Remedy: fields are bytes until a stage decodes them,
/// and a dead letter is made of the bytes that were there.
#[tokio::test]
async fn a_message_of_nonsense_is_delivered_and_given_up_with_its_bytes() -> Result<()> {
    let add = |texts: &str| format!("return redis.call('XADD', KEYS[1], '*', {texts})");
    for (script, undecodable) in [
        (add(r"'number', '\255\254'"), true),
        (add(r"'\255', 'x', 'number', '1'"), true),
        (add(r"'', ''"), true),
        (add("'colour', 'red'"), true),
        (add("'number', '1', 'number', '2'"), false),
        (add("'number', string.rep('9', 1000000)"), true),
        (add(r"'dlq_reason', 'mine', 'number', 'a\0b'"), true),
    ] {
        let Some(bench) = Bench::start()? else {
            return Ok(());
        };
        bench.cli(&["EVAL", &script, "1", STREAM])?;
        let fields = give_up_the_only_message(&bench).await?;
        assert_eq!(Note::decode(fields).is_err(), undecodable, "{script}");
    }
    Ok(())
}

/// Lua cannot pass on more than some 8,000 values in one call. Remedy: the letters of a message
/// that is larger are several.
#[tokio::test]
async fn a_message_of_ten_thousand_fields_is_given_up_with_all_of_them() -> Result<()> {
    let Some(bench) = Bench::start()? else {
        return Ok(());
    };
    let texts: Vec<String> = (0..20_000).map(|number| number.to_string()).collect();
    let mut command = vec!["XADD", STREAM, "*"];
    command.extend(texts.iter().map(String::as_str));
    bench.cli(&command)?;
    give_up_the_only_message(&bench).await?;
    assert_conserved(&bench.bus, &Notes::INFO).await
}

/// Gives up a message and finds its bytes in its dead letters; gives them.
async fn give_up_the_only_message(bench: &Bench) -> Result<RawFields> {
    let mut reader = Reader::join::<Notes>(&bench.bus, options());
    let (message, _held) = reader.take_one().await?;
    assert_eq!(reader.consumer.settle(&dead([message.id])).await?.dead, 1);

    let stream = Notes::INFO.dead_letters();
    let letters = bench.bus.range(&stream, MessageId::ZERO, 100).await?;
    let mut content = RawFields::default();
    for letter in letters {
        let last = letter.fields.0.last().context("an empty letter")?;
        let added = if last.0 == b"dlq_part" { 10 } else { 9 };
        let at = letter.fields.0.len().saturating_sub(added);
        let (own, added) = letter.fields.0.split_at(at);
        content.0.extend_from_slice(own);
        let provenance = DeadLetter::decode(RawFields(added.to_vec()))?;
        assert_eq!(provenance.id, message.id.to_string());
        assert_eq!(provenance.reason, "hopeless");
    }
    assert!(content == message.fields, "the bytes are not the same");
    Ok(message.fields)
}
