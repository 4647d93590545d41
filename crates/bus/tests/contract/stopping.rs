//! Stopping interrupts waiting, never working.

use std::time::Duration;

use anyhow::Result;
use bus::SubscribeOptions;
use common::Topic as _;
use tokio::time::timeout;

use crate::Bench;
use crate::notes::{Notes, notes};
use crate::readers::{Reader, SHORT, SOON, done, group_when, options, short_lease};

on_every_back_end! {
    a_stopped_subscription_ends,
    a_batch_that_was_read_before_the_stop_still_comes_out,
    the_driver_keeps_what_is_in_hand_until_it_is_dropped,
}

async fn a_stopped_subscription_ends(bench: Bench) -> Result<()> {
    bench.bus.publish::<Notes>(&notes(0..1)).await?;
    let mut reader = Reader::join::<Notes>(&bench.bus, options());
    reader.finish(1).await?;
    reader.stop.cancel();
    assert!(timeout(SOON, reader.deliveries.next()).await?.is_none());
    reader.ended().await
}

async fn a_batch_that_was_read_before_the_stop_still_comes_out(bench: Bench) -> Result<()> {
    let small_batches = SubscribeOptions {
        batch_max: 10,
        read_wait: Duration::from_millis(50),
        ..options()
    };
    bench.bus.publish::<Notes>(&notes(0..20)).await?;
    let mut reader = Reader::join::<Notes>(&bench.bus, small_batches);
    let first = reader.take(10).await?;
    group_when(&bench.bus, &Notes::INFO, "the second batch", |group| {
        group.pending == 20
    })
    .await?;
    reader.stop.cancel();
    let second = reader.take(10).await?;
    assert!(timeout(SOON, reader.deliveries.next()).await?.is_none());

    for held in [first, second] {
        assert_eq!(reader.consumer.settle(&done(held.ids())).await?.done, 10);
    }
    reader.ended().await
}

async fn the_driver_keeps_what_is_in_hand_until_it_is_dropped(bench: Bench) -> Result<()> {
    bench.bus.publish::<Notes>(&notes(0..1)).await?;
    let mut leaver = Reader::join::<Notes>(&bench.bus, short_lease());
    let (message, held) = leaver.take_one().await?;
    leaver.stop.cancel();
    let mut peer = Reader::join::<Notes>(&bench.bus, short_lease());
    group_when(&bench.bus, &Notes::INFO, "three leases to pass", |group| {
        group.oldest_pending_age.is_some_and(|age| age > SHORT * 3)
    })
    .await?;
    assert_eq!(leaver.consumer.settle(&done([message.id])).await?.done, 1);
    drop(held);
    leaver.ended().await?;

    bench.bus.publish::<Notes>(&notes(1..2)).await?;
    assert_eq!(peer.finish(1).await?, [1]);
    Ok(())
}
