//! What a topic says of itself is the truth at every moment.

use std::time::Duration;

use anyhow::{Context as _, Result};
use bus::{Bus, GroupOverview, SubscribeOptions};
use common::Topic as _;

use crate::Bench;
use crate::notes::{Notes, READERS, notes};
use crate::readers::{
    LONG, Reader, assert_conserved, dead, done, failed, group, group_when, options,
};

on_every_back_end! {
    every_message_is_in_one_state_at_every_step,
    an_unknown_topic_is_empty,
    a_group_says_how_long_its_oldest_messages_wait,
    idle_members_are_removed_only_when_they_own_nothing,
}

/// `published`, `undelivered`, `pending`, `retrying`, `done`, `dead`.
async fn counts(bus: &Bus) -> Result<[u64; 6]> {
    assert_conserved(bus, &Notes::INFO).await?;
    let overview = bus.overview(&Notes::INFO).await?;
    assert_eq!(overview.name, Notes::INFO.name);
    let [group] = <[GroupOverview; 1]>::try_from(overview.groups)
        .ok()
        .context("there is not one group")?;
    assert_eq!(group.name, READERS);
    assert!(group.undelivered.exact);
    assert_eq!((group.vanished, group.recreated), (0, 0));
    assert_eq!(overview.dead_letters, group.dead);
    Ok([
        overview.published,
        group.undelivered.count,
        group.pending,
        group.retrying,
        group.done,
        group.dead,
    ])
}

async fn every_message_is_in_one_state_at_every_step(bench: Bench) -> Result<()> {
    let bus = &bench.bus;
    let mut small_batches = options();
    small_batches.batch_max = 10;
    small_batches.retry.base = LONG;
    small_batches.retry.cap = LONG;

    bus.open_groups(&[Notes::INFO]).await?;
    assert_eq!(counts(bus).await?, [0, 0, 0, 0, 0, 0]);
    bus.publish::<Notes>(&notes(0..30)).await?;
    assert_eq!(counts(bus).await?, [30, 30, 0, 0, 0, 0]);

    let mut reader = Reader::join::<Notes>(bus, small_batches);
    let held = reader.take(10).await?;
    // One batch is in hand, one waits for its turn, one was not read.
    group_when(bus, &Notes::INFO, "the second batch", |group| {
        group.pending == 20
    })
    .await?;
    assert_eq!(counts(bus).await?, [30, 10, 20, 0, 0, 0]);

    let mut ids = held.ids().into_iter();
    reader.consumer.settle(&done(ids.by_ref().take(4))).await?;
    assert_eq!(counts(bus).await?, [30, 10, 16, 0, 4, 0]);
    reader
        .consumer
        .settle(&failed(ids.by_ref().take(3)))
        .await?;
    assert_eq!(counts(bus).await?, [30, 10, 16, 3, 4, 0]);
    reader.consumer.settle(&dead(ids.by_ref().take(2))).await?;
    assert_eq!(counts(bus).await?, [30, 10, 14, 3, 4, 2]);
    reader.consumer.settle(&done(ids)).await?;
    assert_eq!(counts(bus).await?, [30, 10, 13, 3, 5, 2]);

    reader.finish(20).await?;
    assert_eq!(counts(bus).await?, [30, 0, 3, 3, 25, 2]);
    let failed_ones = held.ids().into_iter().skip(4).take(3);
    reader.consumer.settle(&done(failed_ones)).await?;
    assert_eq!(counts(bus).await?, [30, 0, 0, 0, 28, 2]);
    Ok(())
}

async fn an_unknown_topic_is_empty(bench: Bench) -> Result<()> {
    let overview = bench.bus.overview(&Notes::INFO).await?;
    assert_eq!((overview.length, overview.published), (0, 0));
    assert!(overview.groups.is_empty());
    Ok(())
}

async fn a_group_says_how_long_its_oldest_messages_wait(bench: Bench) -> Result<()> {
    let bus = &bench.bus;
    bus.open_groups(&[Notes::INFO]).await?;
    let empty = group(bus, &Notes::INFO).await?;
    assert_eq!(
        (empty.oldest_undelivered_age, empty.oldest_pending_age),
        (None, None)
    );

    bus.publish::<Notes>(&notes(0..1)).await?;
    let wait = Duration::from_millis(100);
    group_when(bus, &Notes::INFO, "age of the undelivered", |group| {
        group.oldest_undelivered_age.is_some_and(|age| age >= wait)
    })
    .await?;
    let mut reader = Reader::join::<Notes>(bus, options());
    let held = reader.take(1).await?;
    let taken = group(bus, &Notes::INFO).await?;
    assert_eq!(taken.oldest_undelivered_age, None);
    assert!(taken.oldest_pending_age.is_some_and(|age| age >= wait));

    reader.consumer.settle(&done(held.ids())).await?;
    assert_eq!(group(bus, &Notes::INFO).await?.oldest_pending_age, None);
    Ok(())
}

async fn idle_members_are_removed_only_when_they_own_nothing(bench: Bench) -> Result<()> {
    let bus = &bench.bus;
    let forgetful = || SubscribeOptions {
        housekeeping_interval: Duration::from_millis(20),
        consumer_idle_max: Duration::from_secs(1),
        ..options()
    };
    bus.publish::<Notes>(&notes(0..1)).await?;
    let mut owner = Reader::join::<Notes>(bus, forgetful());
    let held = owner.take(1).await?;
    // A read that is under way would still be given a message.
    owner.stop.cancel();
    assert!(owner.deliveries.next().await.is_none());
    let owner = owner.die().await;
    bus.publish::<Notes>(&notes(1..2)).await?;
    let mut guest = Reader::join::<Notes>(bus, forgetful());
    if bench.kafka.is_some() {
        guest.take(1).await?;
    }
    guest.finish(1).await?;
    if bench.kafka.is_some() {
        // Members of Kafka own partitions, which go to others at once: nobody who is gone owns any.
        assert_eq!(owner.settle(&done(held.ids())).await?.done, 0);
        let alone = group_when(bus, &Notes::INFO, "removal of the owner", |group| {
            group.consumers == 1
        });
        assert_eq!(alone.await?.pending, 1);
        return Ok(());
    }
    assert_eq!(group(bus, &Notes::INFO).await?.consumers, 2);
    guest.stop.cancel();
    guest.ended().await?;

    // The owner has been idle for longer than the guest, so its turn has been, too.
    bus.publish::<Notes>(&notes(2..3)).await?;
    let mut living = Reader::join::<Notes>(bus, forgetful());
    let _work = living.take(1).await?;
    let without_guest = group_when(bus, &Notes::INFO, "removal of the guest", |group| {
        group.consumers == 2
    });
    assert_eq!(without_guest.await?.pending, 2);

    assert_eq!(owner.settle(&done(held.ids())).await?.done, 1);
    group_when(bus, &Notes::INFO, "removal of the owner", |group| {
        group.consumers == 1
    })
    .await?;
    Ok(())
}
