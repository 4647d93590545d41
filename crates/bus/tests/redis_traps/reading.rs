//! Blocking reads.

use std::time::Duration;

use anyhow::{Context as _, Result};
use bus::SubscribeOptions;
use common::Topic as _;
use testkit::servers::eventually_async;

use crate::bench::Bench;
use crate::notes::{Notes, ShortNotes, notes};
use crate::readers::{Reader, SOON, done, options};

fn patient(read_wait: Duration) -> SubscribeOptions {
    SubscribeOptions {
        read_wait,
        ..options()
    }
}

/// The client gives up after 500 ms by default, and what the server answers later is delivered to
/// nobody. Remedy: the reader's response timeout is its wait and two seconds.
#[tokio::test]
async fn a_read_that_waits_longer_than_the_clients_default_timeout_gets_its_message() -> Result<()>
{
    let Some(bench) = Bench::start()? else {
        return Ok(());
    };
    let wait = Duration::from_secs(4);
    let mut reader = Reader::join::<Notes>(&bench.bus, patient(wait));
    bench.blocked_reader(2).await?;
    bench.bus.publish::<Notes>(&notes(0..1)).await?;
    let (message, _held) = reader.take_one().await?;
    assert_eq!((message.deliveries, message.repeat), (1, false));
    Ok(())
}

/// Remedy: the same. A read that finds nothing is no failure and costs no connection.
#[tokio::test]
async fn an_idle_subscription_keeps_its_connection() -> Result<()> {
    let Some(bench) = Bench::start()? else {
        return Ok(());
    };
    let default_wait = SubscribeOptions::default().read_wait;
    let mut reader = Reader::join::<Notes>(&bench.bus, patient(default_wait));
    let connection = bench.blocked_reader(0).await?;
    eventually_async("four reads in vain", SOON, async || {
        let statistics = bench.cli(&["INFO", "commandstats"]).ok()?;
        let reads = statistics
            .lines()
            .find(|line| line.starts_with("cmdstat_xreadgroup:"))?;
        let calls = reads.split(&['=', ','][..]).nth(1)?;
        (calls.parse::<u32>().ok()? >= 4).then_some(())
    })
    .await?;
    assert_eq!(bench.blocked_reader(0).await?, connection);

    bench.bus.publish::<Notes>(&notes(0..1)).await?;
    let (message, _held) = reader.take_one().await?;
    assert!(!message.repeat);
    Ok(())
}

/// A blocking command holds up every command behind it on its connection. Remedy: a reader has a
/// connection of its own.
#[tokio::test]
async fn a_blocking_read_does_not_hold_up_publishing_and_settling() -> Result<()> {
    let Some(bench) = Bench::start_with(Duration::from_secs(1))? else {
        return Ok(());
    };
    bench.bus.publish::<Notes>(&notes(0..1)).await?;
    let mut reader = Reader::join::<Notes>(&bench.bus, patient(Duration::from_secs(6)));
    let held = reader.take(1).await?;
    bench.blocked_reader(0).await?;
    bench.bus.publish::<ShortNotes>(&notes(0..1)).await?;
    assert_eq!(reader.consumer.settle(&done(held.ids())).await?.done, 1);
    assert_eq!(bench.bus.overview(&Notes::INFO).await?.published, 1);
    bench.blocked_reader(0).await?;
    Ok(())
}

/// A message whose delivery was lost on the way is pending, and a read of new ones never gives it
/// again. Remedy: before new messages, a reader takes what the server thinks it has.
#[tokio::test]
async fn a_message_that_was_delivered_to_nobody_comes_first() -> Result<()> {
    let Some(bench) = Bench::start()? else {
        return Ok(());
    };
    bench.bus.open_groups(&[Notes::INFO]).await?;
    bench.bus.publish::<Notes>(&notes(0..700)).await?;
    bench.deliver_to_nobody("me", 650)?;
    let me = SubscribeOptions {
        consumer: "me".to_owned(),
        ..options()
    };
    let mut reader = Reader::join::<Notes>(&bench.bus, me);
    let lost = reader.take(650).await?;
    assert_eq!(lost.numbers()?, (0..650).collect::<Vec<u32>>());
    assert!(lost.messages().all(|m| m.deliveries == 1 && m.repeat));
    let fresh = reader.take(50).await?;
    assert_eq!(fresh.numbers()?, (650..700).collect::<Vec<u32>>());
    assert!(fresh.messages().all(|m| m.deliveries == 1 && !m.repeat));
    Ok(())
}

/// A connection that breaks takes deliveries with it. Remedy: the same after every failed read,
/// leaving out what this process does hold.
#[tokio::test]
async fn a_reader_whose_connection_is_killed_finds_what_was_lost_with_it() -> Result<()> {
    let Some(bench) = Bench::start()? else {
        return Ok(());
    };
    bench.bus.publish::<Notes>(&notes(0..1)).await?;
    let me = SubscribeOptions {
        consumer: "me".to_owned(),
        ..patient(Duration::from_mins(1))
    };
    let mut reader = Reader::join::<Notes>(&bench.bus, me);
    let held = reader.take(1).await?;
    let connection = bench.blocked_reader(0).await?;

    let script = "redis.call('XADD', KEYS[1], '*', 'number', '1') \
                redis.call('XREADGROUP', 'GROUP', 'readers', 'me', 'STREAMS', KEYS[1], '>')";
    bench.cli(&["EVAL", script, "1", Notes::INFO.name])?;
    bench.cli(&["CLIENT", "KILL", "ID", &connection])?;
    let (message, lost) = reader.take_one().await?;
    assert_eq!(lost.numbers()?, [1]);
    assert_eq!((message.deliveries, message.repeat), (1, true));

    bench.bus.publish::<Notes>(&notes(2..3)).await?;
    assert_eq!(reader.take(1).await?.numbers()?, [2]);
    let all = held.ids().into_iter().chain(lost.ids());
    let settled = reader.consumer.settle(&done(all)).await;
    assert_eq!(settled.context("settling")?.done, 2);
    Ok(())
}
