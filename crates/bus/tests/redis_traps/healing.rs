//! A process outlives what happens to its server.

use std::time::Duration;

use anyhow::Result;
use testkit::servers::free_port;

use crate::bench::{Bench, finish_all, finish_all_and_account, publish_surely, settle_surely};
use crate::notes::{Notes, notes};
use crate::readers::{Reader, done, options};

/// Remedy: a broken connection is replaced at the next command, and a failed read opens the group
/// and looks for lost deliveries before it reads on.
#[tokio::test]
async fn every_connection_may_be_killed_at_any_time() -> Result<()> {
    let Some(bench) = Bench::start()? else {
        return Ok(());
    };
    let mut reader = Reader::join::<Notes>(&bench.bus, options());
    for round in 0..5 {
        publish_surely(&bench.bus, round * 10..round * 10 + 10).await?;
        let held = reader.take(10).await?;
        bench.cli(&["CLIENT", "KILL", "TYPE", "normal"])?;
        settle_surely(&reader.consumer, &done(held.ids())).await?;
    }
    publish_surely(&bench.bus, 50..60).await?;
    finish_all_and_account(&bench.bus, &mut reader, 50..60).await?;
    reader.stop.cancel();
    reader.ended().await
}

/// Remedy: the same. What the server has acknowledged is in its append-only file.
#[tokio::test]
async fn a_server_that_is_killed_and_started_again_is_taken_up_again() -> Result<()> {
    let Some(bench) = Bench::start()? else {
        return Ok(());
    };
    bench.bus.publish::<Notes>(&notes(0..30)).await?;
    let small_batches = bus::SubscribeOptions {
        batch_max: 10,
        ..options()
    };
    let mut reader = Reader::join::<Notes>(&bench.bus, small_batches);
    let held = reader.take(10).await?;
    bench.server.kill()?;
    let failure = bench.bus.publish::<Notes>(&notes(30..31)).await;
    assert!(failure.is_err_and(|error| error.is_unavailable()));

    bench.server.restart()?;
    let settled = settle_surely(&reader.consumer, &done(held.ids())).await?;
    assert_eq!(settled.done, 10);
    drop(held);
    publish_surely(&bench.bus, 30..40).await?;
    finish_all_and_account(&bench.bus, &mut reader, 10..40).await
}

/// A frozen server leaves commands unanswered and executes them when it goes on. Remedy: commands
/// have a timeout, and whatever was executed unseen is repeated or recovered harmlessly.
#[tokio::test]
async fn a_server_that_is_frozen_for_longer_than_commands_wait_is_taken_up_again() -> Result<()> {
    let Some(bench) = Bench::start_with(Duration::from_millis(200))? else {
        return Ok(());
    };
    bench.bus.publish::<Notes>(&notes(0..1)).await?;
    let mut reader = Reader::join::<Notes>(&bench.bus, options());
    let held = reader.take(1).await?;
    bench.server.pause()?;
    for number in 1..5 {
        let failure = bench.bus.publish::<Notes>(&notes([number])).await;
        assert!(failure.is_err_and(|error| error.is_unavailable()));
    }
    bench.server.resume()?;
    publish_surely(&bench.bus, 5..10).await?;
    settle_surely(&reader.consumer, &done(held.ids())).await?;
    drop(held);
    finish_all(&bench.bus, &mut reader, 5..10).await
}

/// After a failover the old primary refuses writes on connections that stay open. Remedy:
/// `READONLY` means that the server cannot work now: wait and repeat.
#[tokio::test]
async fn a_server_that_is_read_only_for_a_while_is_taken_up_again() -> Result<()> {
    let Some(bench) = Bench::start()? else {
        return Ok(());
    };
    bench.bus.publish::<Notes>(&notes(0..1)).await?;
    let mut reader = Reader::join::<Notes>(&bench.bus, options());
    let held = reader.take(1).await?;
    let dead_primary = free_port()?.to_string();
    bench.cli(&["REPLICAOF", "127.0.0.1", &dead_primary])?;
    for _ in 0..2 {
        let failure = bench.bus.publish::<Notes>(&notes(1..2)).await;
        assert!(failure.is_err_and(|error| error.is_unavailable()));
        let failure = reader.consumer.settle(&done(held.ids())).await;
        assert!(failure.is_err_and(|error| error.is_unavailable()));
    }

    bench.cli(&["REPLICAOF", "NO", "ONE"])?;
    assert_eq!(
        settle_surely(&reader.consumer, &done(held.ids()))
            .await?
            .done,
        1
    );
    drop(held);
    publish_surely(&bench.bus, 1..5).await?;
    finish_all_and_account(&bench.bus, &mut reader, 1..5).await
}
