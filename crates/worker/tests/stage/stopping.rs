//! The signal to stop interrupts waiting, never working.

use anyhow::{Result, anyhow};
use common::Unavailable;
use testkit::servers::eventually_async;
use worker::Verdicts;

use crate::bench::{Bench, SOON, batches_of, options};
use crate::scripted::{Scripted, has_any};

on_both_back_ends! {
    an_idle_stage_ends,
    a_stage_that_waits_hands_its_batch_back_and_a_peer_gets_it_at_once_and_uncounted,
    a_stage_that_waits_with_part_of_a_batch_hands_back_only_that_part,
    a_stage_that_waits_with_the_first_part_of_a_batch_hands_back_the_later_parts_too,
    a_stage_that_works_finishes_what_is_in_hand_and_hands_back_what_it_did_not_start,
    a_culprit_is_still_found_after_the_signal,
}

async fn an_idle_stage_ends(bench: Bench) -> Result<()> {
    let processor = Scripted::finishing(&bench.clock);
    let stage = bench.run(options(), &processor);
    bench.publish(0..1).await?;
    bench.all_done(1).await?;
    stage.stop.cancel();
    stage.ended().await
}

async fn a_stage_that_waits_hands_its_batch_back_and_a_peer_gets_it_at_once_and_uncounted(
    bench: Bench,
) -> Result<()> {
    bench.publish(0..20).await?;
    let leaving = Scripted::new(&bench.clock, |_| Err(Unavailable::new("sql", "no").into()));
    let stage = bench.run(options(), &leaving);
    stage.waits().await?;
    stage.stop.cancel();
    stage.ended().await?;
    let group = bench.group().await?;
    assert_eq!((group.pending, group.retrying, group.done), (20, 0, 0));

    // The lease is an hour: what the peer gets was handed back.
    let staying = Scripted::finishing(&bench.clock);
    let _peer = bench.run(options(), &staying);
    bench.all_done(20).await?;
    for attempt in staying.attempts() {
        assert!(attempt.notes.iter().all(|(_, deliveries)| *deliveries == 1));
        assert!(attempt.repeat.iter().all(|repeat| *repeat));
    }
    Ok(())
}

async fn a_stage_that_waits_with_part_of_a_batch_hands_back_only_that_part(
    bench: Bench,
) -> Result<()> {
    bench.publish(0..8).await?;
    // The first half is done, and something is down for the second.
    let leaving = Scripted::new(&bench.clock, |batch| match batch.messages.len() {
        8 => Err(anyhow!("taken apart")),
        _ if has_any(batch, &[4, 5, 6, 7]) => Err(Unavailable::new("sql", "no").into()),
        _ => Ok(Verdicts::all_done()),
    });
    let stage = bench.run(options(), &leaving);
    stage.waits().await?;
    stage.stop.cancel();
    stage.ended().await?;
    assert_eq!(bench.group().await?.done, 4);
    let staying = Scripted::finishing(&bench.clock);
    let _peer = bench.run(options(), &staying);
    bench.all_done(8).await?;
    let given: Vec<u32> = staying.successes().into_keys().collect();
    assert_eq!(given, [4, 5, 6, 7]);
    Ok(())
}

async fn a_stage_that_waits_with_the_first_part_of_a_batch_hands_back_the_later_parts_too(
    bench: Bench,
) -> Result<()> {
    bench.publish(0..8).await?;
    let leaving = Scripted::new(&bench.clock, |batch| {
        if batch.messages.len() > 2 {
            return Err(anyhow!("taken apart"));
        }
        Err(Unavailable::new("sql", "no").into())
    });
    let stage = bench.run(options(), &leaving);
    stage.waits().await?;
    stage.stop.cancel();
    stage.ended().await?;
    let staying = Scripted::finishing(&bench.clock);
    let _peer = bench.run(options(), &staying);
    bench.all_done(8).await?;
    let given = staying.attempts();
    let mut given = given.iter().flat_map(|attempt| &attempt.notes);
    assert!(given.all(|(_, deliveries)| *deliveries == 1));
    Ok(())
}

async fn a_stage_that_works_finishes_what_is_in_hand_and_hands_back_what_it_did_not_start(
    bench: Bench,
) -> Result<()> {
    bench.publish(0..30).await?;
    let leaving = Scripted::finishing(&bench.clock).gated();
    let stage = bench.run(batches_of(10), &leaving);
    bench
        .group_when("a batch at work and one prefetched", |group| {
            group.pending == 20
        })
        .await?;
    let working = async || (!leaving.attempts().is_empty()).then_some(());
    eventually_async("a batch at work", SOON, working).await?;
    stage.stop.cancel();
    let staying = Scripted::finishing(&bench.clock);
    let _peer = bench.run(options(), &staying);
    // What nobody had is the peer's; what the leaving stage has stays its own as long as it works.
    bench
        .group_when("the rest to be done", |group| group.done == 10)
        .await?;
    assert!(!stage.has_ended());
    assert_eq!(bench.group().await?.pending, 20);

    leaving.open_gate();
    stage.ended().await?;
    bench.all_done(30).await?;
    assert!(leaving.successes().into_keys().eq(0..10));
    assert!(staying.successes().into_keys().eq(10..30));
    assert!(staying.successes().values().all(|times| *times == 1));
    let given = staying.attempts();
    let mut given = given.iter().flat_map(|attempt| &attempt.notes);
    assert!(given.all(|(_, deliveries)| *deliveries == 1));
    Ok(())
}

async fn a_culprit_is_still_found_after_the_signal(bench: Bench) -> Result<()> {
    bench.publish(0..50).await?;
    let processor = Scripted::new(&bench.clock, |batch| {
        if has_any(batch, &[31]) {
            return Err(anyhow!("a culprit"));
        }
        Ok(Verdicts::all_done())
    });
    let processor = processor.gated();
    let stage = bench.run(options(), &processor);
    let working = async || (!processor.attempts().is_empty()).then_some(());
    eventually_async("a batch at work", SOON, working).await?;
    stage.stop.cancel();
    processor.open_gate();
    stage.ended().await?;
    let group = bench.group().await?;
    assert_eq!((group.done, group.retrying, group.pending), (49, 1, 1));
    Ok(())
}
