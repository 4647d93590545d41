//! Dead letters that are large, foreign, old, or redriven while the server dies.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use bus::{DeadLetter, MessageId, Redriven};
use common::{Message as _, Topic as _};
use testkit::servers::eventually_async;

use crate::bench::Bench;
use crate::notes::{Note, Notes, notes};
use crate::readers::{Reader, SOON, assert_balanced, dead, options};

const STREAM: &str = Notes::INFO.name;

async fn letters(bench: &Bench) -> Result<Vec<DeadLetter>> {
    let all = bench
        .bus
        .dead_letters(&Notes::INFO, MessageId::ZERO, 10_000);
    Ok(all.await?)
}

async fn give_up(bench: &Bench, reader: &mut Reader, count: usize) -> Result<()> {
    let ids = reader.take(count).await?.ids();
    let settled = reader.consumer.settle(&dead(ids)).await?;
    ensure!(settled.dead == u64::try_from(count)?, "{settled:?}");
    assert_balanced(&bench.bus, &Notes::INFO).await
}

/// A script is not undone when the server dies, but it is written to the append-only file whole or
/// not at all. Remedy: publishing and removing are one script.
#[tokio::test]
async fn a_letter_is_never_lost_nor_doubled_when_the_server_dies_while_it_is_redriven() -> Result<()>
{
    let Some(bench) = Bench::start()? else {
        return Ok(());
    };
    let mut reader = Reader::join::<Notes>(&bench.bus, options());
    bench.bus.publish::<Notes>(&notes(0..2_000)).await?;
    for _ in 0..20 {
        give_up(&bench, &mut reader, 100).await?;
    }
    reader.die().await;
    let ids: Vec<MessageId> = letters(&bench)
        .await?
        .iter()
        .map(|letter| letter.id)
        .collect();

    let bus = bench.bus.clone();
    let redriving = async {
        for id in &ids {
            if bus.redrive(&Notes::INFO, &[*id]).await.is_err() {
                return;
            }
        }
    };
    let killing = async {
        let some = async || {
            let overview = bus.overview(&Notes::INFO).await.ok()?;
            (overview.redriven > 20).then_some(())
        };
        let waited = eventually_async("some to be redriven", SOON, some).await;
        bench.server.kill().map(|()| waited)
    };
    let ((), killed) = tokio::join!(redriving, killing);
    killed??;
    bench.server.restart()?;

    let waiting = eventually_async("the server", SOON, async || letters(&bench).await.ok()).await?;
    ensure!(
        !waiting.is_empty(),
        "all were redriven before the server died"
    );
    let overview = bench.bus.overview(&Notes::INFO).await?;
    assert_eq!(overview.redriven, 2_000 - u64::try_from(waiting.len())?);
    assert_eq!(overview.published, 2_000 + overview.redriven);
    let left = bench.bus.range(STREAM, MessageId::ZERO, 10_000).await?;
    let again = left.into_iter().skip(2_000).map(|message| message.fields);
    let all = waiting.into_iter().map(|letter| letter.fields).chain(again);
    let numbers = all.map(|fields| Ok(Note::decode(fields)?.number));
    let mut numbers = numbers.collect::<Result<Vec<u32>>>()?;
    numbers.sort_unstable();
    assert_eq!(numbers, (0..2_000).collect::<Vec<u32>>());
    assert_balanced(&bench.bus, &Notes::INFO).await
}

/// Several people redrive the same letters at once. Remedy: the script asks for the letter first.
#[tokio::test]
async fn two_who_redrive_the_same_letters_at_once_share_them() -> Result<()> {
    let Some(bench) = Bench::start()? else {
        return Ok(());
    };
    let mut reader = Reader::join::<Notes>(&bench.bus, options());
    bench.bus.publish::<Notes>(&notes(0..100)).await?;
    give_up(&bench, &mut reader, 100).await?;
    let ids: Vec<MessageId> = letters(&bench)
        .await?
        .iter()
        .map(|letter| letter.id)
        .collect();
    let backwards: Vec<MessageId> = ids.iter().rev().copied().collect();
    let one_by_one = async |ids: &[MessageId]| -> Result<Vec<Redriven>> {
        let mut all = Vec::new();
        for id in ids {
            all.extend(bench.bus.redrive(&Notes::INFO, &[*id]).await?);
        }
        Ok(all)
    };
    let (one, other) = tokio::join!(one_by_one(&ids), one_by_one(&backwards));
    let mut new_ids = BTreeSet::new();
    for redriven in one?.into_iter().chain(other?) {
        if let Redriven::As(id) = redriven {
            ensure!(new_ids.insert(id), "{id} twice");
        }
    }
    assert_eq!(new_ids.len(), 100);
    reader.finish(100).await?;
    assert_balanced(&bench.bus, &Notes::INFO).await
}

/// Lua passes on fewer than 8,000 values, so a larger message is several letters. Remedy: each says
/// which part it is, and a part is not taken for the message.
#[tokio::test]
async fn a_part_of_a_message_is_not_redriven_as_if_it_were_the_message() -> Result<()> {
    let Some(bench) = Bench::start()? else {
        return Ok(());
    };
    let texts: Vec<String> = (0..20_000).map(|number| number.to_string()).collect();
    let mut command = vec!["XADD", STREAM, "*"];
    command.extend(texts.iter().map(String::as_str));
    bench.cli(&command)?;
    let mut reader = Reader::join::<Notes>(&bench.bus, options());
    give_up(&bench, &mut reader, 1).await?;

    let parts = letters(&bench).await?;
    let names: Vec<&str> = parts
        .iter()
        .filter_map(|letter| letter.part.as_deref())
        .collect();
    assert_eq!(names, ["1/3", "2/3", "3/3"]);
    let fields: usize = parts.iter().map(|letter| letter.fields.0.len()).sum();
    assert_eq!(fields, 10_000);
    let ids: Vec<MessageId> = parts.iter().map(|letter| letter.id).collect();
    for redriven in bench.bus.redrive(&Notes::INFO, &ids).await? {
        let refused = matches!(&redriven, Redriven::Refused(why) if why.contains("part"));
        ensure!(refused, "{redriven:?}");
    }
    assert_eq!(letters(&bench).await?, parts);
    assert_balanced(&bench.bus, &Notes::INFO).await?;
    assert_eq!(bench.bus.discard(&Notes::INFO, &ids).await?, [true; 3]);
    assert_balanced(&bench.bus, &Notes::INFO).await
}

/// Anybody can write a letter. Remedy: what it does not say is empty, and what is not the bus's own
/// is the message; bytes stay bytes.
#[tokio::test]
async fn letters_of_others_are_listed_and_redriven_as_far_as_they_go() -> Result<()> {
    let Some(bench) = Bench::start()? else {
        return Ok(());
    };
    let stream = Notes::INFO.dead_letters();
    for (texts, expected) in [
        (r"'number', '1'", Ok(vec![("number", &b"1"[..])])),
        (
            r"'dlq_reason', 'r', 'b', '\255'",
            Ok(vec![("b", &[255][..])]),
        ),
        (
            r"'dlq_worker', 'w', 'dlq_reason', 'r', '', ''",
            Ok(vec![("", &b""[..])]),
        ),
        (r"'dlq_reason', 'r'", Err("no fields")),
        (r"'a', '1', 'dlq_part', '1/2'", Err("part")),
    ] {
        let script = format!("return redis.call('XADD', KEYS[1], '*', {texts})");
        let id = bench
            .cli(&["EVAL", &script, "1", &stream])?
            .parse::<MessageId>()?;
        let letter = bench.bus.dead_letter(&Notes::INFO, id).await?;
        let letter = letter.context("the letter is not listed")?;
        assert_eq!((letter.source_id, letter.attempts), (None, 0));
        let redriven = bench.bus.redrive(&Notes::INFO, &[id]).await?;
        match (redriven.first().context("no answer")?, expected) {
            (Redriven::As(new), Ok(expected)) => {
                let stored = bench.bus.range(STREAM, *new, 1).await?;
                let fields = stored.into_iter().next().context("not published")?.fields;
                let expected = expected
                    .iter()
                    .map(|(name, value)| ((*name).into(), (*value).into()));
                assert_eq!(fields.0, expected.collect::<Vec<_>>(), "{texts}");
                assert_eq!(letter.fields, fields);
            }
            (Redriven::Refused(why), Err(expected)) => ensure!(why.contains(expected), "{why}"),
            (other, _) => anyhow::bail!("{texts}: {other:?}"),
        }
    }
    Ok(())
}

/// A message may have fields that are called as the bus calls its own. Remedy: only what stands at
/// the end in the bus's order was added by the bus.
#[tokio::test]
async fn a_message_with_fields_named_like_those_of_a_letter_is_redriven_with_them() -> Result<()> {
    let Some(bench) = Bench::start()? else {
        return Ok(());
    };
    let own = ["dlq_part", "mine", "number", "1", "dlq_reason", "mine"];
    bench.cli(&[&["XADD", STREAM, "*"], &own[..]].concat())?;
    let mut reader = Reader::join::<Notes>(&bench.bus, options());
    give_up(&bench, &mut reader, 1).await?;
    let letter = letters(&bench).await?.pop().context("a letter")?;
    assert_eq!((letter.reason.as_str(), letter.part), ("hopeless", None));
    bench.bus.redrive(&Notes::INFO, &[letter.id]).await?;
    let (message, _held) = reader.take_one().await?;
    let texts = message
        .fields
        .0
        .iter()
        .flat_map(|(name, value)| [name, value]);
    let texts: Vec<_> = texts.map(|text| String::from_utf8_lossy(text)).collect();
    assert_eq!(texts, own);
    Ok(())
}

/// `XADD … MINID` does not say how many entries it removed. Remedy: `XTRIM` does, and they are
/// counted in the script that removes them.
#[tokio::test]
async fn letters_that_are_older_than_thirty_days_leave_and_are_counted() -> Result<()> {
    let Some(bench) = Bench::start()? else {
        return Ok(());
    };
    let stream = Notes::INFO.dead_letters();
    // Trimming goes by whole nodes of at most 100 entries.
    for number in 1..=250 {
        bench.cli(&["XADD", &stream, &format!("{number}-1"), "number", "1"])?;
    }
    bench.bus.publish::<Notes>(&notes(0..1)).await?;
    let mut reader = Reader::join::<Notes>(&bench.bus, options());
    let ids = reader.take(1).await?.ids();
    reader.consumer.settle(&dead(ids)).await?;
    let overview = bench.bus.overview(&Notes::INFO).await?;
    assert_eq!((overview.dead_letters, overview.expired), (51, 200));
    let youngest = bench.bus.range_back(&stream, MessageId::MAX, 1).await?;
    let youngest = youngest.first().context("the new letter")?.id;
    assert!(Duration::from_millis(youngest.major) > Duration::from_hours(24 * 365));
    Ok(())
}

/// A topic's key may be something else. Remedy: the letter is removed after the
/// message is there.
#[tokio::test]
async fn a_letter_that_cannot_be_published_stays() -> Result<()> {
    let Some(bench) = Bench::start()? else {
        return Ok(());
    };
    let stream = Notes::INFO.dead_letters();
    let id = bench.cli(&["XADD", &stream, "*", "number", "1"])?.parse()?;
    bench.cli(&["SET", STREAM, "no stream"])?;
    let error = bench.bus.redrive(&Notes::INFO, &[id]).await.err();
    let text = error.context("it was published")?.to_string();
    assert!(text.contains("WRONGTYPE"), "{text}");
    assert_eq!(letters(&bench).await?.len(), 1);
    Ok(())
}
