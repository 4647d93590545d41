//! Members come and go all the time.

use std::cell::Cell;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use bus::{Bus, Settled};
use common::Topic as _;
use futures_util::future::try_join_all;
use testkit::servers::eventually_async;

use crate::bench::{Bench, LATER, answered};
use crate::notes::{Notes, notes};
use crate::readers::{Held, Reader, assert_balanced, group, options};

const MESSAGES: u32 = 20_000;
const MEMBERS: u32 = 8;
const RESTARTS: u32 = 16;
/// Batches that a member settles between two restarts.
const BATCHES: u32 = 4;

/// Trap: partitions change hands while batches are processed and settled. Remedy: only the owner of a
/// partition settles, and what it publishes goes with its book in one transaction.
#[tokio::test]
async fn in_a_storm_of_rebalances_every_message_is_settled_once() -> Result<()> {
    let Some(bench) = Bench::shared()? else {
        return Ok(());
    };
    let bus = bench.another(|settings| {
        settings.kafka_partitions = 32;
        settings.kafka_timeout_ms = 10_000;
    })?;
    bus.open_groups(&[Notes::INFO]).await?;
    bus.publish::<Notes>(&notes(0..MESSAGES)).await?;
    let (is_over, restarts) = (Cell::new(false), Cell::new(0));
    let members = (0..MEMBERS).map(|_| work(&bus, &is_over, &restarts));
    let watching = async {
        let mut looks = tokio::time::interval(Duration::from_secs(1));
        while group(&bus, &Notes::INFO).await.map_or(0, |g| g.done) < u64::from(MESSAGES) {
            looks.tick().await;
        }
        is_over.set(true);
        anyhow::Ok(())
    };
    let all = async { tokio::try_join!(try_join_all(members), watching) };
    let ended = tokio::time::timeout(LATER * 2, all).await;
    if ended.is_err() {
        ensure!(is_over.get(), "{:?}", group(&bus, &Notes::INFO).await);
    }
    ended.context("the end of the storm")??;
    assert_eq!(restarts.get(), RESTARTS);
    let results = bench.results().await?;
    let doubled: Vec<_> = results.iter().filter(|(_, count)| **count > 1).collect();
    assert!(doubled.is_empty(), "{doubled:?}");
    assert_eq!(results.len(), usize::try_from(MESSAGES)?);
    assert_balanced(&bus, &Notes::INFO).await
}

/// Works as a member, and after some batches as another one: the one before leaves with a batch in
/// hand, or dies.
async fn work(bus: &Bus, is_over: &Cell<bool>, restarts: &Cell<u32>) -> Result<()> {
    let mut member = Reader::join::<Notes>(bus, options());
    let mut batches = 0;
    while !is_over.get() {
        let wait = Duration::from_millis(200);
        let Ok(batch) = tokio::time::timeout(wait, member.deliveries.next()).await else {
            continue;
        };
        let held = Held(vec![batch.context("the subscription ended")?]);
        batches += 1;
        if batches > BATCHES && restarts.get() < RESTARTS {
            batches = 0;
            restarts.set(restarts.get() + 1);
            let old = std::mem::replace(&mut member, Reader::join::<Notes>(bus, options()));
            if restarts.get().is_multiple_of(2) {
                old.die().await;
            } else {
                old.stop.cancel();
                let ids = held
                    .messages()
                    .map(|message| (message.id, message.deliveries));
                let ids: Vec<_> = ids.collect();
                drop(held);
                // Who was just taken for dead has nothing to hand back.
                old.consumer.hand_back(&ids).await.ok();
            }
            continue;
        }
        let all = answered(&held)?;
        let settle = async || member.consumer.settle(&all).await.ok();
        let settled: Settled = eventually_async("a settlement", LATER, settle).await?;
        ensure!(settled.done == settled.published, "{settled:?}");
    }
    Ok(())
}
