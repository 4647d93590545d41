//! Brokers die, hang, and come back.

use std::time::{Duration, Instant};

use anyhow::Result;
use bus::{Once, OnceRule};
use common::Topic as _;
use testkit::servers::eventually_async;

use crate::bench::{Bench, LATER, answered};
use crate::notes::{Notes, notes};
use crate::readers::{LONG, Reader, assert_balanced, done, group_when, options};

/// Trap: the client waits for a broker that hangs for as long as it takes. Remedy: every call has a
/// timeout, and the error says that waiting may help.
#[tokio::test]
async fn a_broker_that_hangs_gives_errors_in_time_and_loses_nothing() -> Result<()> {
    let Some((bench, server)) = Bench::own()? else {
        return Ok(());
    };
    // The member is not given up meanwhile.
    let bus = &bench.another(|settings| settings.kafka_session_timeout_ms = Some(60_000))?;
    bus.publish::<Notes>(&notes(0..10)).await?;
    let mut reader = Reader::join::<Notes>(bus, options());
    let held = reader.take(10).await?;
    let mut all = answered(&held)?;
    for output in &mut all.outputs {
        output.once = Some(Once {
            key: format!("test:once:{}", output.cause),
            claimant: "tester",
            window: LONG,
            rule: OnceRule::Unclaimed,
        });
    }
    server.pause()?;
    let bound = Duration::from_secs(20);
    for attempt in ["publish", "settle", "overview"] {
        let began = Instant::now();
        let error = match attempt {
            "publish" => bus.publish::<Notes>(&notes(10..11)).await.err(),
            "settle" => reader.consumer.settle(&all).await.err(),
            _ => bus.overview(&Notes::INFO).await.err(),
        };
        let error = error.filter(bus::BusError::is_unavailable);
        assert!(error.is_some(), "{attempt}");
        assert!(began.elapsed() < bound, "{attempt}: {:?}", began.elapsed());
    }
    server.resume()?;
    // The claims are held, and what they were made for was not published: it is, now.
    let settled = eventually_async("the settlement", LATER, async || {
        reader.consumer.settle(&all).await.ok()
    });
    settled.await?;
    drop(held);
    let results = eventually_async("the results", LATER, async || {
        let results = bench.results().await.ok()?;
        (results.len() == 10).then_some(results)
    })
    .await?;
    assert!(results.values().all(|count| *count == 1), "{results:?}");
    Ok(())
}

/// Trap: what was under way when a broker died was done, or was not. Remedy: books are read again,
/// and a transaction that was left open is ended by the next producer of its name.
#[tokio::test]
async fn a_broker_that_dies_and_comes_back_loses_and_doubles_nothing() -> Result<()> {
    let Some((bench, server)) = Bench::own()? else {
        return Ok(());
    };
    let bus = &bench.bus;
    bus.open_groups(&[Notes::INFO]).await?;
    let mut reader = Reader::join::<Notes>(bus, crate::readers::short_lease());
    let mut published = 0;
    for round in 0..3 {
        bus.publish::<Notes>(&notes(published..published + 200))
            .await?;
        published += 200;
        let batch = reader.next().await?;
        let held = crate::readers::Held(vec![batch]);
        let all = answered(&held)?;
        let (settled, killed) = tokio::join!(reader.consumer.settle(&all), async {
            if round > 0 {
                tokio::task::yield_now().await;
            }
            server.kill()
        });
        killed?;
        server.restart()?;
        if settled.is_err() {
            let again = async || reader.consumer.settle(&all).await.ok();
            eventually_async("the settlement", LATER, again).await?;
        }
        drop(held);
        eventually_async("the broker", LATER, async || {
            bus.overview(&Notes::INFO).await.ok()
        })
        .await?;
    }
    let total = usize::try_from(published)?;
    let began = Instant::now();
    while bench.results().await?.len() < total && began.elapsed() < LATER {
        let batch = reader.next().await?;
        let held = crate::readers::Held(vec![batch]);
        let all = answered(&held)?;
        let settle = async || reader.consumer.settle(&all).await.ok();
        eventually_async("the settlement", LATER, settle).await?;
    }
    let results = bench.results().await?;
    assert_eq!(results.len(), total);
    let doubled: Vec<_> = results.iter().filter(|(_, count)| **count > 1).collect();
    assert!(doubled.is_empty(), "{doubled:?}");
    group_when(bus, &Notes::INFO, "the end", |group| group.done == 600).await?;
    assert_balanced(bus, &Notes::INFO).await
}

/// Trap: a consumer takes as fast as it can what nobody processes, and all of it counts as delivered.
/// Remedy: one batch is in hand and one is ready; the rest is with the broker, and paused partitions
/// go on when there is room.
#[tokio::test]
async fn what_waits_for_a_slow_stage_stays_with_the_broker() -> Result<()> {
    let Some(bench) = Bench::shared()? else {
        return Ok(());
    };
    let bus = &bench.bus;
    bus.open_groups(&[Notes::INFO]).await?;
    bus.publish::<Notes>(&notes(0..10_000)).await?;
    let mut reader = Reader::join::<Notes>(bus, options());
    let first = reader.next().await?;
    let waiting = group_when(bus, &Notes::INFO, "a batch in hand, one ready", |group| {
        group.pending == 200
    });
    assert_eq!(waiting.await?.undelivered.count, 9_800);
    let ids: Vec<_> = first.messages.iter().map(|message| message.id).collect();
    reader.consumer.settle(&done(ids)).await?;
    drop(first);
    let mut seen = 100;
    while seen < 10_000 {
        let batch = reader.next().await?;
        seen += batch.messages.len();
        let ids = batch.messages.iter().map(|message| message.id);
        reader.consumer.settle(&done(ids)).await?;
    }
    group_when(bus, &Notes::INFO, "all to be done", |group| {
        group.done == 10_000 && group.pending == 0
    })
    .await?;
    Ok(())
}
