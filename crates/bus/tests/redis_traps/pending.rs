//! Looking for messages that are due among those that are not.

use std::time::Duration;

use anyhow::{Context as _, Result};
use bus::{MessageId, SubscribeOptions};
use common::Topic as _;
use testkit::servers::eventually_async;

use crate::bench::Bench;
use crate::notes::{Notes, notes};
use crate::readers::{Reader, SOON, dead, done, failed, group, group_when, options, short_lease};

const STREAM: &str = Notes::INFO.name;

/// XAUTOCLAIM looks at no more than ten times COUNT entries, and a caller that forgets its cursor
/// never sees the rest. Remedy: pages by idle time, to the end.
#[tokio::test]
async fn many_young_messages_do_not_hide_an_old_one_behind_them() -> Result<()> {
    let Some(bench) = Bench::start()? else {
        return Ok(());
    };
    bench.bus.open_groups(&[Notes::INFO]).await?;
    let ids = bench.bus.publish::<Notes>(&notes(0..12_001)).await?;
    bench.deliver_to_nobody("busy", 12_001)?;
    let last = ids.last().context("no message")?.to_string();
    let claim = ["XCLAIM", STREAM, "readers", "stalled", "0", &last];
    bench.cli(&[&claim[..], &["IDLE", "60000", "JUSTID"]].concat())?;
    let thirty_seconds = SubscribeOptions {
        lease: Duration::from_secs(30),
        ..options()
    };
    let mut reader = Reader::join::<Notes>(&bench.bus, thirty_seconds);
    assert_eq!(reader.finish(1).await?, [12_000]);
    Ok(())
}

/// The same with many old ones that are not due, because each waits for its own back-off.
#[tokio::test]
async fn many_waiting_retries_do_not_hide_one_that_is_due() -> Result<()> {
    let Some(bench) = Bench::start()? else {
        return Ok(());
    };
    bench.bus.open_groups(&[Notes::INFO]).await?;
    let ids = bench.bus.publish::<Notes>(&notes(0..2_501)).await?;
    bench.deliver_to_nobody("retrying", 2_501)?;
    // All are idle for longer than the shortest wait; the last one for longer than its own.
    let wait_of_others = "for _, entry in ipairs(redis.call('XRANGE', KEYS[1], '-', '+')) do \
        redis.call('XCLAIM', KEYS[1], 'readers', 'retrying', 0, entry[1], \
                   'IDLE', 2000, 'RETRYCOUNT', 20, 'JUSTID') end";
    bench.cli(&["EVAL", wait_of_others, "1", STREAM])?;
    let last = ids.last().context("no message")?.to_string();
    let claim = ["XCLAIM", STREAM, "readers", "retrying", "0", &last];
    bench.cli(&[&claim[..], &["IDLE", "2000", "RETRYCOUNT", "1", "JUSTID"]].concat())?;
    let mut slow = options();
    slow.retry.base = Duration::from_secs(1);
    slow.retry.cap = Duration::from_hours(1);
    let mut reader = Reader::join::<Notes>(&bench.bus, slow);
    assert_eq!(reader.finish(1).await?, [2_500]);
    Ok(())
}

/// Deletes messages behind the back of the group.
fn delete(bench: &Bench, ids: &[MessageId]) -> Result<()> {
    let ids: Vec<String> = ids.iter().map(MessageId::to_string).collect();
    let mut command = vec!["XDEL", STREAM];
    command.extend(ids.iter().map(String::as_str));
    bench.cli(&command).map(drop)
}

/// A pending message that was deleted is claimed again and again, or silently dropped. Remedy: it
/// is taken off the list, counted and reported.
#[tokio::test]
async fn pending_messages_that_were_deleted_are_counted_as_vanished() -> Result<()> {
    let Some(bench) = Bench::start()? else {
        return Ok(());
    };
    bench.bus.open_groups(&[Notes::INFO]).await?;
    let ids = bench.bus.publish::<Notes>(&notes(0..5)).await?;
    bench.deliver_to_nobody("dead", 5)?;
    let (deleted, _) = ids.split_at(2);
    delete(&bench, deleted)?;
    let mut heir = Reader::join::<Notes>(&bench.bus, short_lease());
    assert_eq!(heir.finish(3).await?, [2, 3, 4]);
    let group = group_when(&bench.bus, &Notes::INFO, "none pending", |g| g.pending == 0).await?;
    assert_eq!((group.vanished, group.done), (2, 3));
    Ok(())
}

/// The same for what is lost on the way to its reader: it must not stand before new messages.
#[tokio::test]
async fn lost_deliveries_that_were_deleted_do_not_stop_their_reader() -> Result<()> {
    let Some(bench) = Bench::start()? else {
        return Ok(());
    };
    bench.bus.open_groups(&[Notes::INFO]).await?;
    let ids = bench.bus.publish::<Notes>(&notes(0..5)).await?;
    bench.deliver_to_nobody("me", 4)?;
    let (deleted, _) = ids.split_at(3);
    delete(&bench, deleted)?;
    let me = SubscribeOptions {
        consumer: "me".to_owned(),
        batch_max: 2,
        ..options()
    };
    let mut reader = Reader::join::<Notes>(&bench.bus, me);
    let found = reader.take(1).await?;
    let fresh = reader.take(1).await?;
    assert_eq!((found.numbers()?, fresh.numbers()?), (vec![3], vec![4]));
    assert_eq!(group(&bench.bus, &Notes::INFO).await?.vanished, 3);
    Ok(())
}

/// The same for messages that are in hand, waiting for a retry, or to be given up.
#[tokio::test]
async fn messages_that_are_deleted_in_hand_end_in_one_state_too() -> Result<()> {
    let Some(bench) = Bench::start()? else {
        return Ok(());
    };
    bench.bus.publish::<Notes>(&notes(0..3)).await?;
    let mut reader = Reader::join::<Notes>(&bench.bus, options());
    let held = reader.take(3).await?;
    let ids = held.ids();
    delete(&bench, &ids)?;
    let mut ids = ids.into_iter();
    let mut next = || ids.next();
    assert_eq!(reader.consumer.settle(&done(next())).await?.done, 1);
    assert_eq!(reader.consumer.settle(&dead(next())).await?.dead, 0);
    assert_eq!(reader.consumer.settle(&failed(next())).await?.retried, 0);
    drop(held);
    eventually_async("the end of all three", SOON, async || {
        let group = group(&bench.bus, &Notes::INFO).await.ok()?;
        let ends = (group.pending, group.done, group.vanished);
        (ends == (0, 1, 2)).then_some(())
    })
    .await
}
