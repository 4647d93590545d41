//! Who looks sees what is there, and changes nothing by looking.

use std::time::Duration;

use anyhow::{Context as _, Result};
use bus::{Bus, MessageId, PendingMessage};
use common::{Topic as _, UnixMillis};
use testkit::servers::eventually_async;

use crate::Bench;
use crate::notes::{Notes, READERS, notes};
use crate::readers::{LONG, Reader, SOON, done, failed, group, options};

on_every_back_end! {
    a_pending_message_says_who_holds_it_or_why_it_waits,
    pending_messages_come_in_pages,
    a_group_has_settled_everything_up_to_its_first_open_message,
    a_group_says_up_to_where_it_was_delivered_to,
    looking_at_what_is_not_there_creates_nothing,
    a_stream_is_read_backwards_from_any_id,
    a_server_says_how_it_is,
}

/// Publishes so many notes; gives their ids.
async fn published<const COUNT: usize>(bus: &Bus) -> Result<[MessageId; COUNT]> {
    let ids = bus
        .publish::<Notes>(&notes(0..u32::try_from(COUNT)?))
        .await?;
    ids.try_into().ok().context("an id for each")
}

async fn a_pending_message_says_who_holds_it_or_why_it_waits(bench: Bench) -> Result<()> {
    let (bus, topic) = (&bench.bus, &Notes::INFO);
    let mut patient = options();
    patient.retry.base = LONG;
    patient.retry.cap = LONG;
    let [first_id, second_id] = published(bus).await?;
    let mut reader = Reader::join::<Notes>(bus, patient);
    let held = reader.take(2).await?;
    assert_eq!(held.ids(), [first_id, second_id]);
    reader.consumer.settle(&failed([second_id])).await?;

    let pending = bus.pending(topic, READERS, MessageId::ZERO, 10).await?;
    let [working, waiting] = <[PendingMessage; 2]>::try_from(pending)
        .ok()
        .context("there are not two")?;
    assert_eq!(working.consumer.as_deref(), Some(reader.consumer.name()));
    assert_eq!((working.id, working.deliveries), (first_id, 1));
    assert_eq!(
        (working.first_failed_at, working.last_failure),
        (None, None)
    );
    assert_eq!((waiting.id, waiting.consumer), (second_id, None));
    assert_eq!(
        waiting.last_failure.as_deref(),
        Some("timeout: timeout, at length")
    );
    let first = waiting.first_failed_at.context("no time of failure")?;
    let first: UnixMillis = first.parse()?;
    assert!(u64::try_from(first.0)? >= second_id.major);
    assert!(waiting.idle < SOON);
    eventually_async("the idle time to grow", SOON, async || {
        let pending = bus.pending(topic, READERS, MessageId::ZERO, 1).await.ok()?;
        (pending.first()?.idle > working.idle + Duration::from_millis(20)).then_some(())
    })
    .await
}

async fn pending_messages_come_in_pages(bench: Bench) -> Result<()> {
    let (bus, topic) = (&bench.bus, &Notes::INFO);
    let [_, second, third, fourth, fifth] = published(bus).await?;
    let mut reader = Reader::join::<Notes>(bus, options());
    let _held = reader.take(5).await?;
    let page = bus.pending(topic, READERS, second, 2).await?;
    let page: Vec<MessageId> = page.iter().map(|pending| pending.id).collect();
    assert_eq!(page, [third, fourth]);
    let last = bus.pending(topic, READERS, fifth, 2).await?;
    assert_eq!(last, []);
    Ok(())
}

async fn a_group_has_settled_everything_up_to_its_first_open_message(bench: Bench) -> Result<()> {
    let (bus, topic) = (&bench.bus, &Notes::INFO);
    let untidy = bus::SubscribeOptions {
        housekeeping_interval: LONG,
        ..options()
    };
    bus.open_groups(&[*topic]).await?;
    let up_to = async || bus.settled_up_to(topic, READERS).await;
    assert_eq!(up_to().await?, MessageId::ZERO);
    let [first, second, third] = published(bus).await?;
    assert_eq!(up_to().await?, MessageId::ZERO);
    let mut reader = Reader::join::<Notes>(bus, untidy);
    let _held = reader.take(3).await?;
    assert_eq!(up_to().await?, first.previous());
    reader.consumer.settle(&done([second])).await?;
    assert_eq!(up_to().await?, first.previous());
    reader.consumer.settle(&done([first])).await?;
    assert_eq!(up_to().await?, third.previous());
    reader.consumer.settle(&done([third])).await?;
    assert_eq!(up_to().await?, third);
    bus.publish::<Notes>(&notes(3..4)).await?;
    let _fourth = reader.take(1).await?;
    assert!(up_to().await? >= third, "it went back");
    Ok(())
}

async fn a_group_says_up_to_where_it_was_delivered_to(bench: Bench) -> Result<()> {
    let (bus, topic) = (&bench.bus, &Notes::INFO);
    bus.open_groups(&[*topic]).await?;
    let delivered = async || Ok::<_, anyhow::Error>(group(bus, topic).await?.delivered_up_to);
    assert_eq!(delivered().await?, MessageId::ZERO);
    let ids = bus.publish::<Notes>(&notes(0..2)).await?;
    let mut reader = Reader::join::<Notes>(bus, options());
    let held = reader.take(2).await?;
    let last = ids.last().copied().unwrap_or_default();
    assert_eq!(delivered().await?, last);
    // Settling changes nothing in it, and what nobody has read is beyond it.
    reader.consumer.settle(&done(held.ids())).await?;
    drop(held);
    // A read that is under way would still be given a message.
    reader.stop.cancel();
    reader.ended().await?;
    bus.publish::<Notes>(&notes(2..3)).await?;
    assert_eq!(delivered().await?, last);
    Ok(())
}

async fn looking_at_what_is_not_there_creates_nothing(bench: Bench) -> Result<()> {
    let (bus, topic) = (&bench.bus, &Notes::INFO);
    for published in [0, 1] {
        bus.publish::<Notes>(&notes(0..published)).await?;
        let pending = bus.pending(topic, READERS, MessageId::ZERO, 10).await?;
        assert_eq!(pending, []);
        assert_eq!(bus.settled_up_to(topic, READERS).await?, MessageId::ZERO);
        let overview = bus.overview(topic).await?;
        assert_eq!(
            (overview.groups.len(), overview.published),
            (0, published.into())
        );
    }
    Ok(())
}

async fn a_stream_is_read_backwards_from_any_id(bench: Bench) -> Result<()> {
    let (bus, name) = (&bench.bus, Notes::INFO.name);
    assert_eq!(bus.range_back(name, MessageId::MAX, 3).await?, []);
    let [first, second, third, fourth, fifth] = published(bus).await?;
    let back = async |from| {
        let messages = bus.range_back(name, from, 3).await?;
        anyhow::Ok(messages.into_iter().map(|m| m.id).collect::<Vec<_>>())
    };
    assert_eq!(back(MessageId::MAX).await?, [fifth, fourth, third]);
    assert_eq!(back(third.previous()).await?, [second, first]);
    assert_eq!(back(third).await?, [third, second, first]);
    assert_eq!(back(MessageId::ZERO).await?, []);
    let newest = bus.range_back(name, MessageId::MAX, 1).await?;
    assert_eq!(newest, bus.range(name, fifth, 1).await?);
    Ok(())
}

async fn a_server_says_how_it_is(bench: Bench) -> Result<()> {
    let status = bench.bus.server_status().await?;
    assert!(!status.version.is_empty());
    assert!(status.memory_system >= status.used_memory);
    Ok(())
}
