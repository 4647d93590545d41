//! Finished messages are removed beyond the retention; unfinished ones never.

use anyhow::Result;
use bus::{Bus, SubscribeOptions};
use common::Topic;
use common::topics::TopicInfo;

use crate::Bench;
use crate::notes::{Note, READERS, ShortNotes, notes};
use crate::readers::{LONG, Reader, done, failed, group, options};

on_every_back_end! {
    trimming_never_passes_unfinished_work_and_keeps_what_is_retained,
    a_waiting_retry_is_not_trimmed,
    nothing_is_trimmed_while_a_declared_group_is_missing,
    trimming_an_unknown_topic_is_harmless,
}

struct AuditedNotes;

impl Topic for AuditedNotes {
    type Message = Note;
    const INFO: TopicInfo = TopicInfo {
        name: "test.audited",
        groups: &[READERS, AUDITORS],
        retained: 1,
        key: "number",
        home: common::topics::Home::Bus,
    };
}

const AUDITORS: &str = "auditors";

/// Trims only when the test says so.
fn untidy() -> SubscribeOptions {
    SubscribeOptions {
        housekeeping_interval: LONG,
        ..options()
    }
}

/// Publishes one by one, trimming between: a topic is trimmed much more often than it turns over.
async fn publish_and_trim<T: Topic<Message = Note>>(bus: &Bus, count: u32) -> Result<()> {
    for note in notes(0..count) {
        bus.publish::<T>(&[note]).await?;
        bus.trim(&T::INFO).await?;
    }
    Ok(())
}

async fn length(bus: &Bus, topic: &TopicInfo) -> Result<u64> {
    Ok(bus.overview(topic).await?.length)
}

async fn trimming_never_passes_unfinished_work_and_keeps_what_is_retained(
    bench: Bench,
) -> Result<()> {
    let (bus, topic) = (&bench.bus, &ShortNotes::INFO);
    bus.open_groups(&[*topic]).await?;
    publish_and_trim::<ShortNotes>(bus, 20).await?;
    assert_eq!(length(bus, topic).await?, 20, "undelivered");

    let mut reader = Reader::join::<ShortNotes>(bus, untidy());
    let held = reader.take(20).await?;
    bus.trim(topic).await?;
    assert_eq!(length(bus, topic).await?, 20, "pending");

    let ids = held.ids();
    let (first, rest) = ids.split_at(10);
    let (open, rest) = rest.split_at(1);
    reader
        .consumer
        .settle(&done(first.iter().chain(rest).copied()))
        .await?;
    assert_eq!(bus.trim(topic).await?, 10);
    assert_eq!(length(bus, topic).await?, 10, "one is open in the middle");
    let overview = group(bus, topic).await?;
    let last_finished = first.last().copied().unwrap_or_default();
    let first_open = open.first().copied().unwrap_or_default();
    assert!(last_finished <= overview.floor && overview.floor < first_open);

    reader.consumer.settle(&done(open.iter().copied())).await?;
    assert_eq!(bus.trim(topic).await?, 5);
    assert_eq!(length(bus, topic).await?, topic.retained);
    assert_eq!(
        group(bus, topic).await?.floor,
        ids.last().copied().unwrap_or_default()
    );
    assert_eq!(bus.trim(topic).await?, 0);
    assert_eq!(bus.overview(topic).await?.published, 20);
    Ok(())
}

async fn a_waiting_retry_is_not_trimmed(bench: Bench) -> Result<()> {
    let (bus, topic) = (&bench.bus, &ShortNotes::INFO);
    let mut slow = untidy();
    slow.retry.base = LONG;
    slow.retry.cap = LONG;
    let mut reader = Reader::join::<ShortNotes>(bus, slow);
    bus.publish::<ShortNotes>(&notes(99..100)).await?;
    let first = reader.take(1).await?;
    reader.consumer.settle(&failed(first.ids())).await?;
    publish_and_trim::<ShortNotes>(bus, 20).await?;
    reader.finish(20).await?;
    bus.trim(topic).await?;
    assert_eq!(length(bus, topic).await?, 21);

    assert_eq!(reader.consumer.settle(&done(first.ids())).await?.done, 1);
    bus.trim(topic).await?;
    assert_eq!(length(bus, topic).await?, topic.retained);
    Ok(())
}

async fn nothing_is_trimmed_while_a_declared_group_is_missing(bench: Bench) -> Result<()> {
    let (bus, topic) = (&bench.bus, &AuditedNotes::INFO);
    let mut reader = Reader::join_group::<AuditedNotes>(bus, READERS, untidy());
    publish_and_trim::<AuditedNotes>(bus, 10).await?;
    reader.finish(10).await?;
    assert_eq!(bus.trim(topic).await?, 0);

    let mut auditor = Reader::join_group::<AuditedNotes>(bus, AUDITORS, untidy());
    assert_eq!(auditor.finish(10).await?.len(), 10);
    assert_eq!(bus.trim(topic).await?, 9);
    assert_eq!(length(bus, topic).await?, topic.retained);
    Ok(())
}

async fn trimming_an_unknown_topic_is_harmless(bench: Bench) -> Result<()> {
    assert_eq!(bench.bus.trim(&ShortNotes::INFO).await?, 0);
    Ok(())
}
