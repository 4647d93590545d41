//! Groups are forgotten, partitions change hands, and members come back from the dead.

use std::time::Duration;

use anyhow::{Result, ensure};
use common::Topic as _;
use rdkafka::admin::{AdminClient, AdminOptions};
use rdkafka::client::DefaultClientContext;

use crate::bench::Bench;
use crate::notes::{Notes, READERS, ShortNotes, notes};
use crate::readers::{
    Reader, assert_conserved, done, failed, group, group_when, options, short_lease,
};

/// Trap: brokers forget a group that had no members for a week; what it had settled seems new.
/// Remedy: the topic of retries tells that there was a group, and all may be repeats.
#[tokio::test]
async fn a_group_that_the_brokers_forgot_begins_again_with_repeats() -> Result<()> {
    let Some(bench) = Bench::shared()? else {
        return Ok(());
    };
    let bus = &bench.bus;
    bus.publish::<Notes>(&notes(0..3)).await?;
    let mut first = Reader::join::<Notes>(bus, options());
    first.finish(2 + 1).await?;
    first.stop.cancel();
    first.ended().await?;
    group_when(bus, &Notes::INFO, "nobody", |group| group.consumers == 0).await?;
    let admin: AdminClient<DefaultClientContext> = bench.client().create()?;
    let name = format!("{}{READERS}", bench.settings.kafka_topic_prefix);
    let deleted = admin.delete_groups(&[&name], &AdminOptions::new()).await?;
    ensure!(deleted.iter().all(Result::is_ok), "{deleted:?}");

    let mut second = Reader::join::<Notes>(bus, options());
    let held = second.take(3).await?;
    assert!(held.messages().all(|m| m.repeat && m.deliveries == 1));
    let found = group(bus, &Notes::INFO).await?;
    assert_eq!((found.recreated, found.counted), (1, false));
    second.consumer.settle(&done(held.ids())).await?;
    drop(held);
    bus.publish::<Notes>(&notes(3..4)).await?;
    let (fresh, _held) = second.take_one().await?;
    assert!(!fresh.repeat, "what came later is no repeat");
    Ok(())
}

/// Trap: a member that leaves while a stage works on its messages has them processed twice. Remedy:
/// partitions are kept until what is in hand is settled.
#[tokio::test]
async fn a_partition_changes_hands_after_what_is_in_hand_is_settled() -> Result<()> {
    let Some(bench) = Bench::shared()? else {
        return Ok(());
    };
    let bus = bench.another(|settings| settings.kafka_partitions = 2)?;
    bus.open_groups(&[Notes::INFO]).await?;
    let mut one = Reader::join::<Notes>(&bus, options());
    group_when(&bus, &Notes::INFO, "the first", |group| {
        group.consumers == 1
    })
    .await?;
    bus.publish::<Notes>(&notes(0..40)).await?;
    let held = one.take(40).await?;
    let mut two = Reader::join::<Notes>(&bus, options());
    group_when(&bus, &Notes::INFO, "the second", |group| {
        group.consumers == 2
    })
    .await?;
    let early = tokio::time::timeout(Duration::from_secs(2), two.next()).await;
    assert!(
        early.is_err(),
        "messages in hand were given to somebody else"
    );
    assert_eq!(one.consumer.settle(&done(held.ids())).await?.done, 40);
    drop(held);
    let mut number = 40;
    let message = loop {
        bus.publish::<Notes>(&notes(number..=number)).await?;
        number += 1;
        let (batch, consumer) = tokio::select! {
            batch = one.next() => (batch?, &one.consumer),
            batch = two.next() => (batch?, &two.consumer),
        };
        let ids: Vec<_> = batch.messages.iter().map(|message| message.id).collect();
        assert!(
            batch
                .messages
                .iter()
                .all(|m| m.deliveries == 1 && !m.repeat)
        );
        consumer.settle(&done(ids)).await?;
        if consumer.name() == two.consumer.name() {
            break batch.messages.into_iter().next();
        }
    };
    assert!(message.is_some());
    let found = group(&bus, &Notes::INFO).await?;
    assert_eq!((found.done, found.pending), (u64::from(number), 0));
    Ok(())
}

/// Trap: a member that lost its partitions goes on settling. Remedy: it owns nothing, and what it
/// settles counts nothing and publishes nothing.
#[tokio::test]
async fn who_lost_a_partition_settles_nothing_in_it() -> Result<()> {
    let Some(bench) = Bench::shared()? else {
        return Ok(());
    };
    let bus = &bench.bus;
    bus.publish::<Notes>(&notes(0..3)).await?;
    let mut lost = Reader::join::<Notes>(bus, options());
    let held = lost.take(3).await?;
    let lost = lost.die().await;
    let mut heir = Reader::join::<Notes>(bus, options());
    let inherited = heir.take(3).await?;
    assert!(inherited.messages().all(|m| m.deliveries == 2 && m.repeat));
    let settlement = crate::bench::answered(&held)?;
    let settled = lost.settle(&settlement).await?;
    assert_eq!((settled.done, settled.published), (0, 0));
    assert_eq!(lost.settle(&failed(held.ids())).await?.retried, 0);
    assert!(bench.results().await?.is_empty());
    let settled = heir.consumer.settle(&settlement).await?;
    assert_eq!((settled.done, settled.published), (3, 3));
    Ok(())
}

/// Trap: one message that nobody finishes holds up its partition for ever, or all that comes after it
/// is forgotten. Remedy: what is settled beyond it is remembered, up to a window.
#[tokio::test]
async fn what_is_settled_beyond_an_open_message_stays_settled() -> Result<()> {
    let Some(bench) = Bench::shared()? else {
        return Ok(());
    };
    let bus = &bench.bus;
    bus.publish::<Notes>(&notes(0..1_000)).await?;
    let mut reader = Reader::join::<Notes>(bus, options());
    let held = reader.take(1_000).await?;
    // Every third is left open, so that what is known of the partition is as ragged as can be.
    let closed = held.ids().into_iter().enumerate();
    let closed = closed
        .filter(|(number, _)| number % 3 != 0)
        .map(|(_, id)| id);
    let settled = reader.consumer.settle(&done(closed)).await?;
    assert_eq!(settled.done, 666);
    reader.die().await;
    let mut heir = Reader::join::<Notes>(bus, options());
    let mut numbers = Vec::new();
    while numbers.len() < 334 {
        let batch = heir.next().await?;
        for message in &batch.messages {
            numbers.push(crate::readers::number_of(message)?);
        }
        let ids = batch.messages.iter().map(|message| message.id);
        heir.consumer.settle(&done(ids)).await?;
    }
    numbers.sort_unstable();
    assert_eq!(numbers, (0..1_000).step_by(3).collect::<Vec<u32>>());
    let found = group(bus, &Notes::INFO).await?;
    assert_eq!((found.done, found.pending), (1_000, 0));
    Ok(())
}

/// Trap: the brokers' retention goes by time and knows nothing of who has read what. Remedy: the bus
/// removes what every group has settled, in each partition, and keeps its share.
#[tokio::test]
async fn each_partition_is_trimmed_up_to_what_is_open_in_it() -> Result<()> {
    let Some(bench) = Bench::shared()? else {
        return Ok(());
    };
    let (bus, topic) = (
        bench.another(|settings| settings.kafka_partitions = 5)?,
        &ShortNotes::INFO,
    );
    let mut slow = short_lease();
    slow.retry.base = crate::readers::LONG;
    slow.retry.cap = crate::readers::LONG;
    let mut reader = Reader::join::<ShortNotes>(&bus, slow);
    for note in notes(0..50) {
        bus.publish::<ShortNotes>(&[note]).await?;
    }
    let held = reader.take(50).await?;
    let ids = held.ids();
    let (waiting, rest) = ids.split_at(1);
    reader.consumer.settle(&failed(waiting.to_vec())).await?;
    reader.consumer.settle(&done(rest.to_vec())).await?;
    group_when(&bus, topic, "the rest to be done", |group| group.done == 49).await?;
    bus.trim(topic).await?;
    let left = bus.range(topic.name, bus::MessageId::ZERO, 100).await?;
    let first = waiting.first().copied().unwrap_or_default();
    assert!(left.iter().any(|message| message.id == first), "it waits");
    assert!(left.len() < 50, "{} are left", left.len());
    assert_conserved(&bus, topic).await?;
    assert_eq!(reader.consumer.settle(&done([first])).await?.done, 1);
    bus.trim(topic).await?;
    assert!(bus.overview(topic).await?.length <= topic.retained);
    assert_conserved(&bus, topic).await
}
