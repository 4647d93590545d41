//! Who holds a message keeps it as long as it lives, and no longer.

use std::time::Instant;

use anyhow::Result;
use common::Topic as _;

use crate::Bench;
use crate::notes::{Notes, notes};
use crate::readers::{LONG, Reader, SHORT, done, group_when, number_of, options, short_lease};

on_every_back_end! {
    messages_of_a_dead_member_are_taken_over_after_the_lease,
    a_batch_that_nobody_settles_comes_back_to_its_own_member,
    work_that_takes_longer_than_the_lease_keeps_its_messages,
    a_batch_that_waits_for_its_stage_is_kept_too,
    a_batch_that_is_handed_back_goes_to_a_peer_at_once_and_does_not_count,
}

async fn messages_of_a_dead_member_are_taken_over_after_the_lease(bench: Bench) -> Result<()> {
    bench.bus.publish::<Notes>(&notes(0..3)).await?;
    let mut victim = Reader::join::<Notes>(&bench.bus, short_lease());
    let before = Instant::now();
    let held = victim.take(3).await?;
    let victim = victim.die().await;

    let mut heir = Reader::join::<Notes>(&bench.bus, short_lease());
    let inherited = heir.take(3).await?;
    // Kafka is told when a member's connection is closed, and waits for silent ones only.
    assert!(before.elapsed() >= SHORT || bench.kafka.is_some());
    assert_eq!(inherited.ids(), held.ids());
    assert!(inherited.messages().all(|m| m.deliveries == 2 && m.repeat));

    // What the victim did not settle it may still finish, but not a second time.
    assert_eq!(heir.consumer.settle(&done(held.ids())).await?.done, 3);
    assert_eq!(victim.settle(&done(held.ids())).await?.done, 0);
    Ok(())
}

async fn a_batch_that_nobody_settles_comes_back_to_its_own_member(bench: Bench) -> Result<()> {
    bench.bus.publish::<Notes>(&notes(0..1)).await?;
    let mut reader = Reader::join::<Notes>(&bench.bus, short_lease());
    let (message, held) = reader.take_one().await?;
    drop(held);
    let (again, _held) = reader.take_one().await?;
    assert_eq!(again.id, message.id);
    assert_eq!((again.deliveries, again.repeat), (2, true));
    Ok(())
}

async fn work_that_takes_longer_than_the_lease_keeps_its_messages(bench: Bench) -> Result<()> {
    bench.bus.publish::<Notes>(&notes(0..2)).await?;
    let mut worker = Reader::join::<Notes>(&bench.bus, short_lease());
    let held = worker.take(2).await?;
    let mut vulture = Reader::join::<Notes>(&bench.bus, short_lease());
    let long_work = group_when(&bench.bus, &Notes::INFO, "three leases to pass", |group| {
        group.oldest_pending_age.is_some_and(|age| age > SHORT * 3)
    });
    long_work.await?;

    bench.bus.publish::<Notes>(&notes(2..3)).await?;
    let seen = tokio::select! {
        batch = vulture.next() => batch?,
        batch = worker.next() => batch?,
    };
    let seen: Vec<u32> = seen.messages.iter().map(number_of).collect::<Result<_>>()?;
    assert_eq!(
        seen,
        [2],
        "messages in hand were delivered to somebody else"
    );
    assert_eq!(worker.consumer.settle(&done(held.ids())).await?.done, 2);
    Ok(())
}

async fn a_batch_that_waits_for_its_stage_is_kept_too(bench: Bench) -> Result<()> {
    bench.bus.publish::<Notes>(&notes(0..1)).await?;
    let mut worker = Reader::join::<Notes>(&bench.bus, short_lease());
    let waits = group_when(&bench.bus, &Notes::INFO, "three leases to pass", |group| {
        group.oldest_pending_age.is_some_and(|age| age > SHORT * 3)
    });
    waits.await?;
    let (message, _held) = worker.take_one().await?;
    assert_eq!(message.deliveries, 1);
    Ok(())
}

async fn a_batch_that_is_handed_back_goes_to_a_peer_at_once_and_does_not_count(
    bench: Bench,
) -> Result<()> {
    let long_lease = options;
    assert_eq!(long_lease().lease, LONG);
    bench.bus.publish::<Notes>(&notes(0..3)).await?;
    let mut leaver = Reader::join::<Notes>(&bench.bus, long_lease());
    let held = leaver.take(3).await?;
    leaver.stop.cancel();
    let not_started: Vec<_> = held.messages().map(|m| (m.id, m.deliveries)).collect();
    leaver.consumer.hand_back(&not_started).await?;
    drop(held);
    leaver.ended().await?;

    let mut peer = Reader::join::<Notes>(&bench.bus, long_lease());
    let taken = peer.take(3).await?;
    assert_eq!(taken.numbers()?, [0, 1, 2]);
    assert!(taken.messages().all(|message| message.deliveries == 1));
    assert_eq!(peer.consumer.settle(&done(taken.ids())).await?.done, 3);
    Ok(())
}
