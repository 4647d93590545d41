//! A topic that is moved while it is in use: nothing is lost, nothing comes twice, order is kept.

use std::collections::{BTreeMap, BTreeSet};
use std::future::poll_fn;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Poll;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use bus::{Bus, MessageId, Migrated, Migration, MoveState, Place};
use common::Topic as _;
use testkit::servers::eventually_async;

use super::bench::Bench;
use crate::notes::{Notes, notes};
use crate::readers::{
    Reader, SOON, assert_balanced, dead, done, failed, number_of, options, short_lease,
};

fn migration(bus: &Bus) -> Result<Migration> {
    bus.migration().context("the bus has one server only")
}

async fn migrate(bus: &Bus) -> Result<Option<Migrated>> {
    Ok(migration(bus)?.run(&Notes::INFO, &|_| {}).await?)
}

#[tokio::test]
async fn what_is_not_settled_goes_over_and_what_is_settled_does_not() -> Result<()> {
    let Some(bench) = Bench::start()? else {
        return Ok(());
    };
    let bus = &bench.bus;
    bus.publish::<Notes>(&notes(0..6)).await?;
    let mut reader = Reader::join::<Notes>(bus, options());
    let held = reader.take(6).await?;
    let ids = held.ids();
    reader.consumer.settle(&done([ids[0], ids[2]])).await?;
    reader.consumer.settle(&dead([ids[1]])).await?;
    reader.consumer.settle(&failed([ids[4]])).await?;
    // A read that is under way would still be given a message.
    reader.stop.cancel();
    assert!(reader.deliveries.next().await.is_none());
    reader.die().await;
    drop(held);
    bus.publish::<Notes>(&notes(6..8)).await?;

    let migrated = migrate(bus).await?.context("nothing to move")?;
    assert_eq!((migrated.messages, migrated.letters), (5, 1));
    assert_eq!(migrate(bus).await?, None);
    assert_eq!(bus.place(&Notes::INFO).await?, Some(Place::Kafka));
    let known = bus.move_of(&Notes::INFO).await?.context("no move")?;
    assert_eq!((known.state, known.published), (MoveState::Done, 8));

    let mut reader = Reader::join::<Notes>(bus, options());
    let held = reader.take(5).await?;
    assert_eq!(held.numbers()?, [3, 4, 5, 6, 7]);
    // Who was given it before may have had its effects.
    let repeats: Vec<bool> = held.messages().map(|message| message.repeat).collect();
    assert_eq!(repeats, [true, true, true, false, false]);
    let first_ids: Vec<MessageId> = held.messages().map(|m| m.first_id).take(3).collect();
    assert_eq!(first_ids, ids[3..]);
    reader.consumer.settle(&done(held.ids())).await?;
    assert_balanced(bus, &Notes::INFO).await?;

    let letters = bus.dead_letters(&Notes::INFO, MessageId::ZERO, 10).await?;
    assert_eq!(letters[0].first_id, Some(ids[1]));
    bus.redrive(&Notes::INFO, &[letters[0].id]).await?;
    let (redriven, _held) = reader.take_one().await?;
    assert_eq!((number_of(&redriven)?, redriven.first_id), (1, ids[1]));
    Ok(())
}

/// Settles whatever comes until it is told to stop; gives the numbers in the order of their settling.
async fn consume(bus: &Bus, stop: &AtomicBool) -> Result<Vec<u32>> {
    let mut reader = Reader::join::<Notes>(bus, short_lease());
    let mut numbers = Vec::new();
    while !stop.load(Ordering::Relaxed) {
        let soon = Duration::from_millis(200);
        let Ok(Some(batch)) = tokio::time::timeout(soon, reader.deliveries.next()).await else {
            continue;
        };
        let ids = batch.messages.iter().map(|message| message.id);
        let settled = reader.consumer.settle(&done(ids)).await;
        // Refused as a whole: the topic was put aside, and they come again elsewhere.
        let Ok(settled) = settled else { continue };
        ensure!(settled.done == u64::try_from(batch.messages.len())?);
        for message in &batch.messages {
            numbers.push(number_of(message)?);
        }
    }
    Ok(numbers)
}

/// Publishes note after note, each until it is accepted.
async fn produce(bus: &Bus, count: u32) -> Result<()> {
    for number in 0..count {
        let note = notes([number]);
        let publish = async || bus.publish::<Notes>(&note).await.ok().map(drop);
        eventually_async("publishing", SOON, publish).await?;
    }
    Ok(())
}

/// Cuts a migration off the first time that it waits for a server, then the second, and so on, until
/// one comes to its end. What it had sent to the server still happens.
async fn migrate_with_crashes(bus: &Bus) -> Result<u32> {
    for crashes in 0.. {
        let mut migrating = pin!(migrate(bus));
        let mut waits = 0;
        let cut_off = poll_fn(|context| match migrating.as_mut().poll(context) {
            Poll::Ready(ended) => Poll::Ready(Some(ended)),
            Poll::Pending if waits == crashes => Poll::Ready(None),
            Poll::Pending => {
                waits += 1;
                Poll::Pending
            }
        });
        if let Some(ended) = cut_off.await {
            ended?;
            return Ok(crashes);
        }
    }
    Ok(0)
}

#[tokio::test]
async fn a_topic_is_moved_while_it_is_written_and_read_and_the_mover_dies_at_any_step() -> Result<()>
{
    const COUNT: u32 = 4_000;
    let Some(bench) = Bench::start()? else {
        return Ok(());
    };
    let bus = &bench.bus;
    bus.open_groups(&[Notes::INFO]).await?;
    let stop = AtomicBool::new(false);
    let moving = async {
        let half = async || {
            let published = bus.overview(&Notes::INFO).await.ok()?.published;
            (published > u64::from(COUNT / 4)).then_some(())
        };
        eventually_async("a quarter", SOON, half).await?;
        let crashes = migrate_with_crashes(bus).await?;
        ensure!(crashes > 5, "{crashes} crashes");
        anyhow::Ok(())
    };
    let finishing = async {
        tokio::try_join!(produce(bus, COUNT), moving)?;
        let finished = async || {
            let overview = bus.overview(&Notes::INFO).await.ok()?;
            let is_there = bus.place(&Notes::INFO).await.ok()? == Some(Place::Kafka);
            (is_there && overview.groups.first()?.backlog() == 0).then_some(())
        };
        eventually_async("the end", SOON, finished).await
    };
    let producing = async {
        let finished = finishing.await;
        stop.store(true, Ordering::Relaxed);
        finished
    };
    let (one, produced) = tokio::join!(consume(bus, &stop), producing);
    produced?;
    let numbers = one?;
    let mut times: BTreeMap<u32, u32> = BTreeMap::new();
    for number in &numbers {
        *times.entry(*number).or_default() += 1;
    }
    let missing: Vec<u32> = (0..COUNT).filter(|n| !times.contains_key(n)).collect();
    let doubled: BTreeSet<u32> = times
        .iter()
        .filter(|(_, n)| **n > 1)
        .map(|(n, _)| *n)
        .collect();
    assert_eq!((missing, doubled), (Vec::new(), BTreeSet::new()));
    assert!(numbers.is_sorted(), "the order was not kept");
    assert_balanced(bus, &Notes::INFO).await
}

#[tokio::test]
async fn two_who_move_the_same_topic_at_once_move_it_once() -> Result<()> {
    let Some(bench) = Bench::start()? else {
        return Ok(());
    };
    let bus = &bench.bus;
    bus.publish::<Notes>(&notes(0..2_000)).await?;
    let (one, other) = tokio::join!(migrate(bus), migrate(bus));
    assert!(one.is_ok() || other.is_ok());
    migrate(bus).await?;
    let mut reader = Reader::join::<Notes>(bus, options());
    assert_eq!(
        reader.finish(2_000).await?,
        (0..2_000).collect::<Vec<u32>>()
    );
    assert_eq!(bus.overview(&Notes::INFO).await?.published, 2_000);
    Ok(())
}
