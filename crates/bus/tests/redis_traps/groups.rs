//! Groups and streams that disappear under their readers.

use std::time::Duration;

use anyhow::Result;
use bus::SubscribeOptions;
use common::Topic as _;

use crate::bench::{Bench, finish_all_and_account, publish_surely};
use crate::notes::{Notes, ShortNotes, notes};
use crate::readers::{LONG, Reader, done, group, group_when, options, short_lease};

const STREAM: &str = Notes::INFO.name;

/// Without its group a reader fails for ever, and a group created at the end or at the start loses
/// or repeats everything. Remedy: it is created again where everything was settled, and what may
/// have been processed since then says so.
#[tokio::test]
async fn a_lost_group_is_created_again_where_it_had_settled_everything() -> Result<()> {
    let Some(bench) = Bench::start()? else {
        return Ok(());
    };
    let untidy = SubscribeOptions {
        housekeeping_interval: LONG,
        ..options()
    };
    bench.bus.publish::<Notes>(&notes(0..10)).await?;
    let mut reader = Reader::join::<Notes>(&bench.bus, untidy);
    let held = reader.take(10).await?;
    let ids = held.ids();
    let (known, rest) = ids.split_at(5);
    reader.consumer.settle(&done(known.iter().copied())).await?;
    bench.bus.trim(&Notes::INFO).await?;
    let unrecorded = rest.iter().take(2).copied();
    reader.consumer.settle(&done(unrecorded)).await?;

    bench.cli(&["XGROUP", "DESTROY", STREAM, "readers"])?;
    let again = reader.take(5).await?;
    assert_eq!(again.ids(), rest);
    assert!(again.messages().all(|message| message.repeat));
    assert_eq!(group(&bench.bus, &Notes::INFO).await?.recreated, 1);
    assert_eq!(reader.consumer.settle(&done(again.ids())).await?.done, 5);

    bench.bus.publish::<Notes>(&notes(10..11)).await?;
    let (fresh, _held) = reader.take_one().await?;
    assert!(!fresh.repeat);
    bench.bus.trim(&Notes::INFO).await?;
    Ok(())
}

/// The group that a member reads from may have been created again by another member while this one
/// was busy. Remedy: every read also brings how far its messages may be repeats.
#[tokio::test]
async fn a_member_that_slept_through_the_loss_of_its_group_knows_of_the_repeats() -> Result<()> {
    let Some(bench) = Bench::start()? else {
        return Ok(());
    };
    let one_by_one = || SubscribeOptions {
        batch_max: 1,
        housekeeping_interval: LONG,
        ..options()
    };
    bench.bus.publish::<Notes>(&notes(0..6)).await?;
    let mut busy = Reader::join::<Notes>(&bench.bus, one_by_one());
    let first = busy.take(1).await?;
    // One in hand, one waiting: this member reads no more until it is done with the first.
    group_when(&bench.bus, &Notes::INFO, "its second", |group| {
        group.pending == 2
    })
    .await?;
    bench.cli(&["XGROUP", "DESTROY", STREAM, "readers"])?;
    let mut peer = Reader::join::<Notes>(&bench.bus, one_by_one());
    let (message, _held) = peer.take_one().await?;
    assert!(message.repeat);

    drop(first);
    let waiting = busy.take(1).await?;
    assert!(
        waiting.messages().all(|message| !message.repeat),
        "read before the loss"
    );
    let (message, _held) = busy.take_one().await?;
    assert!(message.repeat, "{message:?}");
    Ok(())
}

/// After FLUSHALL or an empty failover there is neither group nor stream. Remedy: both are created
/// again, whoever notices.
#[tokio::test]
async fn a_server_that_lost_everything_is_used_on() -> Result<()> {
    let Some(bench) = Bench::start()? else {
        return Ok(());
    };
    bench.bus.publish::<Notes>(&notes(0..5)).await?;
    let mut reader = Reader::join::<Notes>(&bench.bus, options());
    reader.finish(5).await?;
    bench.cli(&["FLUSHALL"])?;
    publish_surely(&bench.bus, 5..10).await?;
    finish_all_and_account(&bench.bus, &mut reader, 5..10).await?;

    bench.server.restart_empty()?;
    publish_surely(&bench.bus, 10..15).await?;
    finish_all_and_account(&bench.bus, &mut reader, 10..15).await
}

/// A blocked reader is told that its stream is gone. Remedy: that is a lost group, not an end.
#[tokio::test]
async fn a_stream_that_is_deleted_under_a_blocked_reader_is_read_on() -> Result<()> {
    let Some(bench) = Bench::start()? else {
        return Ok(());
    };
    let patient = SubscribeOptions {
        read_wait: Duration::from_mins(1),
        ..options()
    };
    bench.bus.publish::<Notes>(&notes(0..5)).await?;
    let mut reader = Reader::join::<Notes>(&bench.bus, patient);
    reader.finish(5).await?;
    bench.blocked_reader(0).await?;
    bench.bus.trim(&Notes::INFO).await?;
    bench.cli(&["DEL", STREAM])?;
    group_when(&bench.bus, &Notes::INFO, "the group", |group| {
        group.recreated == 1
    })
    .await?;
    bench.bus.publish::<Notes>(&notes(5..8)).await?;
    assert_eq!(reader.finish(3).await?, [5, 6, 7]);
    Ok(())
}

/// A group that was created again stands between two ids, where the arithmetic of ids is at its
/// limits. Remedy: the id after `n-18446744073709551615` is `n+1-0`.
#[tokio::test]
async fn a_group_that_was_created_again_before_its_first_message_can_be_trimmed() -> Result<()> {
    let Some(bench) = Bench::start()? else {
        return Ok(());
    };
    let (bus, topic) = (&bench.bus, &ShortNotes::INFO);
    bus.open_groups(&[*topic]).await?;
    for number in 0..20 {
        let (id, number) = (format!("{}-0", 1_000 + number), number.to_string());
        bench.cli(&["XADD", topic.name, &id, "number", &number])?;
        bus.trim(topic).await?;
    }
    let untidy = SubscribeOptions {
        housekeeping_interval: LONG,
        ..options()
    };
    let mut reader = Reader::join::<ShortNotes>(bus, untidy);
    let held = reader.take(20).await?;
    let first_ten = held.ids().into_iter().take(10);
    reader.consumer.settle(&done(first_ten)).await?;
    bus.trim(topic).await?;
    reader.die().await;

    bench.cli(&["XGROUP", "DESTROY", topic.name, "readers"])?;
    bus.open_groups(&[*topic]).await?;
    bus.trim(topic).await?;
    let overview = group(bus, topic).await?;
    assert_eq!((overview.undelivered.count, overview.recreated), (10, 1));
    let mut heir = Reader::join::<ShortNotes>(bus, options());
    assert_eq!(heir.finish(10).await?, (10..20).collect::<Vec<u32>>());
    Ok(())
}

/// Deleting a consumer deletes its pending entries. Remedy: only one that owns nothing is removed,
/// and the script that removes it looks.
#[tokio::test]
async fn a_forgotten_consumer_with_messages_is_not_removed() -> Result<()> {
    let Some(bench) = Bench::start()? else {
        return Ok(());
    };
    bench.bus.open_groups(&[Notes::INFO]).await?;
    bench.bus.publish::<Notes>(&notes(0..1)).await?;
    bench.deliver_to_nobody("owner", 1)?;
    bench.cli(&["XGROUP", "CREATECONSUMER", STREAM, "readers", "guest"])?;
    let forgetful = SubscribeOptions {
        consumer_idle_max: Duration::ZERO,
        ..options()
    };
    let _tidy = Reader::join::<Notes>(&bench.bus, forgetful);
    group_when(&bench.bus, &Notes::INFO, "the guest to go", |group| {
        group.consumers == 1
    })
    .await?;
    let owner = bench.cli(&["XPENDING", STREAM, "readers", "-", "+", "10", "owner"])?;
    assert!(owner.contains("owner"), "{owner}");

    let mut heir = Reader::join::<Notes>(&bench.bus, short_lease());
    assert_eq!(heir.take(1).await?.numbers()?, [0]);
    Ok(())
}
