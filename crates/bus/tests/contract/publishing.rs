//! What goes in comes out: all of it, in order, to each group once.

use std::collections::BTreeSet;

use anyhow::{Result, ensure};
use common::topics::TopicInfo;
use common::{RawFields, Topic};
use futures_util::future::try_join_all;

use crate::Bench;
use crate::notes::{Note, Notes, READERS, notes};
use crate::readers::{Reader, done, number_of, options};

on_every_back_end! {
    messages_come_out_in_the_order_they_went_in_with_every_field,
    ids_are_in_the_order_of_publishing,
    messages_published_at_the_same_time_all_arrive_once,
    members_of_a_group_share_its_messages,
    every_group_sees_every_message,
    a_member_that_joins_later_goes_on_where_the_group_is,
    messages_are_there_to_be_looked_at_from_any_id,
}

struct SharedNotes;

impl Topic for SharedNotes {
    type Message = Note;
    const INFO: TopicInfo = TopicInfo {
        name: "test.shared",
        groups: &[READERS, AUDITORS],
        retained: 10_000,
        key: "number",
        home: common::topics::Home::Bus,
    };
}

const AUDITORS: &str = "auditors";

async fn messages_come_out_in_the_order_they_went_in_with_every_field(bench: Bench) -> Result<()> {
    let sent = notes(0..1_204);
    bench.bus.publish::<Notes>(&[]).await?;
    for one in sent.iter().take(3) {
        bench
            .bus
            .publish::<Notes>(std::slice::from_ref(one))
            .await?;
    }
    let (_, rest) = sent.split_at(3);
    bench.bus.publish::<Notes>(rest).await?;

    let mut reader = Reader::join::<Notes>(&bench.bus, options());
    let held = reader.take(sent.len()).await?;
    let received: Vec<RawFields> = held.messages().map(|m| m.fields.clone()).collect();
    let expected: Vec<RawFields> = sent.iter().map(RawFields::of).collect();
    assert_eq!(received, expected);
    assert!(held.messages().all(|m| m.deliveries == 1 && !m.repeat));
    Ok(())
}

async fn ids_are_in_the_order_of_publishing(bench: Bench) -> Result<()> {
    let mut ids = bench.bus.publish::<Notes>(&notes(0..600)).await?;
    ids.extend(bench.bus.publish::<Notes>(&notes(600..602)).await?);
    assert_eq!(ids.len(), 602);
    assert!(ids.is_sorted_by(|a, b| a < b));

    let mut reader = Reader::join::<Notes>(&bench.bus, options());
    assert_eq!(reader.take(602).await?.ids(), ids);
    Ok(())
}

async fn messages_published_at_the_same_time_all_arrive_once(bench: Bench) -> Result<()> {
    let calls = (0..50).map(|call| {
        let bus = bench.bus.clone();
        async move { bus.publish::<Notes>(&notes(call * 4..call * 4 + 4)).await }
    });
    try_join_all(calls).await?;
    let mut reader = Reader::join::<Notes>(&bench.bus, options());
    let mut numbers = reader.take(200).await?.numbers()?;
    numbers.sort_unstable();
    assert_eq!(numbers, (0..200).collect::<Vec<u32>>());
    Ok(())
}

async fn members_of_a_group_share_its_messages(bench: Bench) -> Result<()> {
    let bench = bench.shared()?;
    let small_batches = || bus::SubscribeOptions {
        batch_max: 10,
        ..options()
    };
    let mut one = Reader::join::<Notes>(&bench.bus, small_batches());
    let mut two = Reader::join::<Notes>(&bench.bus, small_batches());
    let mut seen = BTreeSet::new();
    let mut by = [0, 0];
    let mut published = 0;
    while by.contains(&0) || seen.len() < 100 || seen.len() < usize::try_from(published)? {
        if usize::try_from(published)? == seen.len() {
            // Until both are at work: what is published before may all go to the first.
            bench
                .bus
                .publish::<Notes>(&notes(published..published + 20))
                .await?;
            published += 20;
        }
        let [by_one, by_two] = &mut by;
        let (consumer, count, batch) = tokio::select! {
            batch = one.next() => (&one.consumer, by_one, batch?),
            batch = two.next() => (&two.consumer, by_two, batch?),
        };
        for message in &batch.messages {
            ensure!(seen.insert(number_of(message)?), "{message:?} came twice");
        }
        let ids = batch.messages.iter().map(|message| message.id);
        let settled = consumer.settle(&done(ids)).await?;
        ensure!(
            settled.done == u64::try_from(batch.messages.len())?,
            "{settled:?}"
        );
        *count += batch.messages.len();
    }
    assert_eq!(seen.len(), usize::try_from(published)?);
    Ok(())
}

async fn every_group_sees_every_message(bench: Bench) -> Result<()> {
    bench.bus.publish::<SharedNotes>(&notes(0..30)).await?;
    let mut reader = Reader::join_group::<SharedNotes>(&bench.bus, READERS, options());
    let mut auditor = Reader::join_group::<SharedNotes>(&bench.bus, AUDITORS, options());
    let all: Vec<u32> = (0..30).collect();
    assert_eq!(reader.finish(30).await?, all);
    assert_eq!(auditor.finish(30).await?, all);
    Ok(())
}

async fn a_member_that_joins_later_goes_on_where_the_group_is(bench: Bench) -> Result<()> {
    bench.bus.publish::<Notes>(&notes(0..3)).await?;
    let mut first = Reader::join::<Notes>(&bench.bus, options());
    assert_eq!(first.finish(3).await?, [0, 1, 2]);
    first.stop.cancel();
    first.ended().await?;

    bench.bus.publish::<Notes>(&notes(3..5)).await?;
    let mut second = Reader::join::<Notes>(&bench.bus, options());
    assert_eq!(second.finish(2).await?, [3, 4]);
    Ok(())
}

async fn messages_are_there_to_be_looked_at_from_any_id(bench: Bench) -> Result<()> {
    let sent = notes(0..5);
    let ids = bench.bus.publish::<Notes>(&sent).await?;
    let from = ids.get(1).copied().unwrap_or_default();
    let seen = bench.bus.range(Notes::INFO.name, from, 3).await?;
    let expected = ids.iter().zip(&sent).skip(1).take(3);
    for (stored, (id, note)) in seen.iter().zip(expected) {
        assert_eq!((stored.id, &stored.fields), (*id, &RawFields::of(note)));
    }
    assert_eq!(seen.len(), 3);
    assert!(bench.bus.range("test.unknown", from, 3).await?.is_empty());
    Ok(())
}
