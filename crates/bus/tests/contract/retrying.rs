//! A failed message waits and comes back, and says so.

use std::time::{Duration, Instant};

use anyhow::Result;
use bus::{RetryPolicy, SubscribeOptions};
use common::Topic as _;

use crate::Bench;
use crate::notes::{Notes, notes};
use crate::readers::{Reader, assert_conserved, done, failed, group, group_when, options};

on_every_back_end! {
    a_failed_message_comes_back_after_its_back_off_which_doubles,
    a_failed_message_may_come_back_to_another_member,
    messages_that_wait_for_their_retry_are_counted_as_such,
    a_message_that_failed_and_then_succeeds_is_done_once,
    failed_messages_do_not_hold_up_new_ones,
    messages_that_are_due_do_not_wait_for_new_ones,
}

const BACK_OFF: Duration = Duration::from_millis(200);
/// Servers tell idle times in whole milliseconds.
const ROUNDING: Duration = Duration::from_millis(2);

fn retry_after(base: Duration) -> SubscribeOptions {
    SubscribeOptions {
        retry: RetryPolicy {
            base,
            cap: base * 100,
            deliveries_max: 5,
        },
        ..options()
    }
}

async fn a_failed_message_comes_back_after_its_back_off_which_doubles(bench: Bench) -> Result<()> {
    bench.bus.publish::<Notes>(&notes(0..1)).await?;
    let mut reader = Reader::join::<Notes>(&bench.bus, retry_after(BACK_OFF));
    let (mut message, mut held) = reader.take_one().await?;
    assert_eq!((message.deliveries, message.repeat), (1, false));
    for (deliveries, wait) in [(2, BACK_OFF), (3, BACK_OFF * 2)] {
        let failed_at = Instant::now();
        let settled = reader.consumer.settle(&failed([message.id])).await?;
        assert_eq!(settled.retried, 1);
        drop(held);
        (message, held) = reader.take_one().await?;
        assert!(failed_at.elapsed() + ROUNDING >= wait, "{deliveries}");
        assert_eq!((message.deliveries, message.repeat), (deliveries, true));
    }
    Ok(())
}

async fn a_failed_message_may_come_back_to_another_member(bench: Bench) -> Result<()> {
    bench.bus.publish::<Notes>(&notes(0..1)).await?;
    let mut one = Reader::join::<Notes>(&bench.bus, options());
    let (message, held) = one.take_one().await?;
    one.stop.cancel();
    one.consumer.settle(&failed([message.id])).await?;
    drop(held);
    one.ended().await?;

    let mut two = Reader::join::<Notes>(&bench.bus, options());
    let (again, _held) = two.take_one().await?;
    assert_eq!((again.id, &again.fields), (message.id, &message.fields));
    assert_eq!((again.deliveries, again.repeat), (2, true));
    assert_eq!(two.consumer.settle(&done([again.id])).await?.done, 1);
    Ok(())
}

async fn messages_that_wait_for_their_retry_are_counted_as_such(bench: Bench) -> Result<()> {
    bench.bus.publish::<Notes>(&notes(0..3)).await?;
    let mut reader = Reader::join::<Notes>(&bench.bus, retry_after(BACK_OFF * 10));
    let held = reader.take(3).await?;
    let two = held.ids().into_iter().take(2);
    reader.consumer.settle(&failed(two)).await?;
    let waiting = group(&bench.bus, &Notes::INFO).await?;
    assert_eq!((waiting.retrying, waiting.pending), (2, 3));
    assert_eq!(waiting.consumers, 1, "nobody is the place where they wait");
    assert_conserved(&bench.bus, &Notes::INFO).await?;
    drop(held);

    let again = reader.take(2).await?;
    let delivered = group_when(&bench.bus, &Notes::INFO, "none to wait", |group| {
        group.retrying == 0
    });
    assert_eq!(delivered.await?.pending, 3);
    let mut numbers = again.numbers()?;
    numbers.sort_unstable();
    assert_eq!(numbers, [0, 1]);
    Ok(())
}

async fn a_message_that_failed_and_then_succeeds_is_done_once(bench: Bench) -> Result<()> {
    bench.bus.publish::<Notes>(&notes(0..1)).await?;
    let mut reader = Reader::join::<Notes>(&bench.bus, options());
    let held = reader.take(1).await?;
    reader.consumer.settle(&failed(held.ids())).await?;
    drop(held);
    assert_eq!(reader.finish(1).await?, [0]);
    let group = group(&bench.bus, &Notes::INFO).await?;
    assert_eq!((group.done, group.pending, group.retrying), (1, 0, 0));
    Ok(())
}

async fn failed_messages_do_not_hold_up_new_ones(bench: Bench) -> Result<()> {
    bench.bus.publish::<Notes>(&notes(0..1)).await?;
    let hours = Duration::from_hours(1);
    let mut reader = Reader::join::<Notes>(&bench.bus, retry_after(hours));
    let held = reader.take(1).await?;
    reader.consumer.settle(&failed(held.ids())).await?;
    drop(held);
    bench.bus.publish::<Notes>(&notes(1..3)).await?;
    assert_eq!(reader.finish(2).await?, [1, 2]);
    Ok(())
}

/// A reader that waits for new messages must not hold up those that are due: each of these comes
/// alone, for it came back often.
async fn messages_that_are_due_do_not_wait_for_new_ones(bench: Bench) -> Result<()> {
    const MESSAGES: u32 = 8;
    let count = usize::try_from(MESSAGES)?;
    let read_wait = Duration::from_secs(2);
    let options = SubscribeOptions {
        read_wait,
        ..retry_after(Duration::from_millis(20))
    };
    bench.bus.publish::<Notes>(&notes(0..MESSAGES)).await?;
    let mut reader = Reader::join::<Notes>(&bench.bus, options);
    for _ in 0..3 {
        let held = reader.take(count).await?;
        reader.consumer.settle(&failed(held.ids())).await?;
    }
    let due_since = Instant::now();
    reader.finish(count).await?;
    assert!(
        due_since.elapsed() < read_wait * 2,
        "{:?}",
        due_since.elapsed()
    );
    Ok(())
}
