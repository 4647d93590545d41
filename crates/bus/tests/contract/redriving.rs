//! What is decided on dead letters happens once, and nothing of the message is lost on the way.

use anyhow::{Context as _, Result, bail};
use bus::{Bus, DeadLetter, MessageId, Redriven};
use common::{Message as _, Topic as _};

use crate::Bench;
use crate::notes::{Note, Notes, READERS, notes};
use crate::readers::{Reader, assert_balanced, dead, failed, options};

on_every_back_end! {
    a_redriven_letter_is_the_same_message_again_and_no_letter_any_more,
    a_letter_is_redriven_once,
    a_redriven_message_that_is_given_up_again_is_a_letter_again,
    a_discarded_letter_is_gone_and_counted,
    a_letter_is_found_by_its_id_and_in_pages,
    letters_of_an_unknown_topic_are_none,
}

/// Publishes notes and gives all of them up; gives their letters.
async fn given_up(
    bus: &Bus,
    reader: &mut Reader,
    numbers: std::ops::Range<u32>,
) -> Result<Vec<DeadLetter>> {
    let count = numbers.len();
    bus.publish::<Notes>(&notes(numbers)).await?;
    let held = reader.take(count).await?;
    reader.consumer.settle(&dead(held.ids())).await?;
    let letters = bus
        .dead_letters(&Notes::INFO, MessageId::ZERO, 1_000)
        .await?;
    assert_balanced(bus, &Notes::INFO).await?;
    Ok(letters)
}

fn ids(letters: &[DeadLetter]) -> Vec<MessageId> {
    letters.iter().map(|letter| letter.id).collect()
}

fn new_ids(redriven: &[Redriven]) -> Result<Vec<MessageId>> {
    let id = |redriven: &Redriven| match redriven {
        Redriven::As(id) => Ok(*id),
        other => bail!("{other:?}"),
    };
    redriven.iter().map(id).collect()
}

async fn a_redriven_letter_is_the_same_message_again_and_no_letter_any_more(
    bench: Bench,
) -> Result<()> {
    let bus = &bench.bus;
    let mut reader = Reader::join::<Notes>(bus, options());
    let letters = given_up(bus, &mut reader, 0..3).await?;
    let [first, second, third] = <[DeadLetter; 3]>::try_from(letters.clone())
        .ok()
        .context("there are not three letters")?;
    assert_eq!(
        (second.reason.as_str(), second.group.as_str()),
        ("hopeless", READERS)
    );
    assert_eq!(second.error, "hopeless, at length");
    assert_eq!((second.attempts, second.part.as_deref()), (1, None));
    assert_eq!(second.worker, reader.consumer.name());
    assert_eq!(second.first_failed_at, second.failed_at);
    assert_eq!(vec![Note::decode(second.fields.clone())?], notes(1..2));

    let redriven = bus.redrive(&Notes::INFO, &[third.id, first.id]).await?;
    let redriven = new_ids(&redriven)?;
    assert!(redriven.iter().all(|id| Some(*id) > second.source_id));
    let held = reader.take(2).await?;
    assert_eq!(held.ids(), redriven);
    assert_eq!(held.numbers()?, [2, 0]);
    let came: Vec<_> = held.messages().map(|message| &message.fields).collect();
    assert_eq!(came, [&third.fields, &first.fields]);
    assert!(held.messages().all(|message| message.deliveries == 1));

    let left = bus.dead_letters(&Notes::INFO, MessageId::ZERO, 10).await?;
    assert_eq!(left, [second]);
    let overview = bus.overview(&Notes::INFO).await?;
    assert_eq!((overview.published, overview.dead_letters), (5, 1));
    assert_eq!(
        (overview.redriven, overview.discarded, overview.expired),
        (2, 0, 0)
    );
    assert_balanced(bus, &Notes::INFO).await
}

async fn a_letter_is_redriven_once(bench: Bench) -> Result<()> {
    let bus = &bench.bus;
    let mut reader = Reader::join::<Notes>(bus, options());
    let letters = ids(&given_up(bus, &mut reader, 0..250).await?);
    let twice = [&letters[..], letters.get(..1).context("a letter")?].concat();
    let redriven = bus.redrive(&Notes::INFO, &twice).await?;
    let (again, once) = redriven.split_last().context("an answer")?;
    assert_eq!(*again, Redriven::Unknown);
    assert_eq!(new_ids(once)?.len(), 250);
    let unknown = bus.redrive(&Notes::INFO, &letters).await?;
    assert!(
        unknown
            .iter()
            .all(|redriven| *redriven == Redriven::Unknown)
    );
    assert_eq!(
        bus.discard(&Notes::INFO, &letters).await?,
        vec![false; letters.len()]
    );

    assert_eq!(reader.finish(250).await?, (0..250).collect::<Vec<u32>>());
    let overview = bus.overview(&Notes::INFO).await?;
    assert_eq!((overview.redriven, overview.published), (250, 500));
    assert_balanced(bus, &Notes::INFO).await
}

async fn a_redriven_message_that_is_given_up_again_is_a_letter_again(bench: Bench) -> Result<()> {
    let bus = &bench.bus;
    let mut reader = Reader::join::<Notes>(bus, options());
    let before = given_up(bus, &mut reader, 7..8).await?;
    bus.redrive(&Notes::INFO, &ids(&before)).await?;
    let (message, held) = reader.take_one().await?;
    reader.consumer.settle(&failed([message.id])).await?;
    drop(held);
    let (message, _held) = reader.take_one().await?;
    reader.consumer.settle(&dead([message.id])).await?;
    let after = bus.dead_letters(&Notes::INFO, MessageId::ZERO, 10).await?;
    let [before, after] = [&before, &after].map(|letters| letters.first());
    let (before, after) = before.zip(after).context("a letter each time")?;
    assert_eq!(after.fields, before.fields);
    assert_eq!((after.attempts, after.source_id), (2, Some(message.id)));
    assert_balanced(bus, &Notes::INFO).await
}

async fn a_discarded_letter_is_gone_and_counted(bench: Bench) -> Result<()> {
    let bus = &bench.bus;
    let mut reader = Reader::join::<Notes>(bus, options());
    let letters = ids(&given_up(bus, &mut reader, 0..250).await?);
    let (discarded, kept) = letters.split_at(240);
    let unknown = MessageId { major: 1, minor: 1 };
    // On both sides, so that the answers are told apart by their places.
    let with_unknown = [&[unknown], discarded, &[unknown]].concat();
    let expected = [&[false][..], &[true; 240], &[false]].concat();
    assert_eq!(bus.discard(&Notes::INFO, &with_unknown).await?, expected);
    assert_eq!(
        bus.discard(&Notes::INFO, discarded).await?,
        vec![false; 240]
    );
    assert_eq!(
        bus.redrive(&Notes::INFO, discarded).await?,
        vec![Redriven::Unknown; 240]
    );
    let left = bus
        .dead_letters(&Notes::INFO, MessageId::ZERO, 1_000)
        .await?;
    assert_eq!(ids(&left), kept);
    let overview = bus.overview(&Notes::INFO).await?;
    assert_eq!((overview.redriven, overview.discarded), (0, 240));
    assert_eq!((overview.published, overview.dead_letters), (250, 10));
    assert_balanced(bus, &Notes::INFO).await
}

async fn a_letter_is_found_by_its_id_and_in_pages(bench: Bench) -> Result<()> {
    let bus = &bench.bus;
    let mut reader = Reader::join::<Notes>(bus, options());
    let letters = given_up(bus, &mut reader, 0..3).await?;
    let [_, second, third] = <[DeadLetter; 3]>::try_from(letters)
        .ok()
        .context("there are not three letters")?;
    let page = bus.dead_letters(&Notes::INFO, second.id, 1).await?;
    assert_eq!(page, [second]);
    let found = bus.dead_letter(&Notes::INFO, third.id).await?;
    assert_eq!(found, Some(third));
    let between = MessageId { major: 1, minor: 1 };
    assert_eq!(bus.dead_letter(&Notes::INFO, between).await?, None);
    Ok(())
}

async fn letters_of_an_unknown_topic_are_none(bench: Bench) -> Result<()> {
    let (bus, topic) = (&bench.bus, &Notes::INFO);
    let id = MessageId { major: 1, minor: 1 };
    assert_eq!(bus.dead_letters(topic, MessageId::ZERO, 10).await?, []);
    assert_eq!(bus.redrive(topic, &[id]).await?, [Redriven::Unknown]);
    assert_eq!(bus.redrive(topic, &[]).await?, []);
    assert_eq!(bus.discard(topic, &[id]).await?, [false]);
    assert_eq!(bus.discard(topic, &[]).await?, Vec::<bool>::new());
    let overview = bus.overview(topic).await?;
    assert_eq!(
        (overview.length, overview.redriven, overview.discarded),
        (0, 0, 0)
    );
    Ok(())
}
