//! The work of some messages is finished later, by a task of the processor's own.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use anyhow::{Context as _, Result};
use bus::{MessageId, Verdict};
use testkit::servers::eventually_async;
use worker::{Batch, HeldMessages, Processor, Verdicts};

use crate::bench::{Bench, SHORT, SOON, batches_of, options, short_lease};
use crate::notes::{Notes, READERS, Scribble, ScribbledNotes};
use crate::scripted::Scripted;

on_both_back_ends! {
    a_message_stays_in_hand_until_its_work_is_done,
    what_is_held_keeps_its_lease_while_what_was_settled_beside_it_needs_none,
    what_fails_later_comes_again_and_is_given_up_in_the_end,
    what_is_given_up_later_is_a_dead_letter_with_its_reason,
    a_stage_that_holds_as_much_as_it_may_stops_reading,
    what_is_done_before_the_processor_answers_is_done,
    what_is_finished_after_the_signal_is_settled_and_the_rest_is_a_peers_at_once_and_uncounted,
    a_verdict_later_that_nobody_can_finish_is_a_retry,
}

/// The notes that were given, each with its id and its deliveries.
type Given = BTreeMap<u32, (MessageId, u32)>;

/// Holds every note below a hundred; the others are done, and multiples of a thousand given up.
#[derive(Debug, Clone)]
struct Collecting {
    held: HeldMessages,
    notes: Arc<Mutex<Given>>,
    /// Has no place to hold messages.
    holds_nothing: bool,
    /// Finishes every note before it answers.
    at_once: bool,
}

impl Collecting {
    fn at_most(most: usize) -> Self {
        Self {
            held: HeldMessages::new(most),
            notes: Arc::default(),
            holds_nothing: false,
            at_once: false,
        }
    }

    /// Waits until these notes were given so often; gives their ids.
    async fn given(&self, numbers: &[u32], deliveries: u32) -> Result<Vec<MessageId>> {
        let what = format!("the notes {numbers:?}");
        let given = async || {
            let notes = self.notes.lock().unwrap_or_else(PoisonError::into_inner);
            let wanted = numbers.iter().map(|number| notes.get(number).copied());
            let wanted = wanted.map(|note| note.filter(|(_, times)| *times == deliveries));
            wanted.map(|note| note.map(|(id, _)| id)).collect()
        };
        eventually_async(&what, SOON, given).await
    }

    fn count(&self) -> usize {
        let notes = self.notes.lock().unwrap_or_else(PoisonError::into_inner);
        notes.len()
    }
}

impl Processor for Collecting {
    const GROUP: &'static str = READERS;
    type Input = Notes;

    async fn process(&self, batch: &Batch<Notes>) -> Result<Verdicts> {
        let mut verdicts = Verdicts::all_done();
        let mut notes = self.notes.lock().unwrap_or_else(PoisonError::into_inner);
        for received in &batch.messages {
            let number = received.message.0;
            if number < 100 {
                verdicts.later(received.id);
            } else if number.is_multiple_of(1_000) {
                verdicts.dead_letter(received.id, "round", "ends in zeros");
            }
            if self.at_once {
                self.held.done(&[received.id]);
            }
            notes.insert(number, (received.id, received.deliveries));
        }
        Ok(verdicts)
    }

    fn held(&self) -> Option<&HeldMessages> {
        (!self.holds_nothing).then_some(&self.held)
    }
}

fn verdicts(ids: &[MessageId]) -> Vec<Verdict> {
    let verdict = |id: &MessageId| Verdict {
        id: *id,
        reason: "not_now".to_owned(),
        error: "the store is closed".to_owned(),
    };
    ids.iter().map(verdict).collect()
}

async fn a_message_stays_in_hand_until_its_work_is_done(bench: Bench) -> Result<()> {
    bench.publish(0..5).await?;
    let processor = Collecting::at_most(100);
    let _stage = bench.run(options(), &processor);
    let ids = processor.given(&[0, 1, 2, 3, 4], 1).await?;
    let group = bench.group().await?;
    assert_eq!((group.pending, group.done), (5, 0));
    processor.held.done(ids.get(..2).context("five notes")?);
    bench
        .group_when("two to be done", |group| group.done == 2)
        .await?;
    assert_eq!(bench.group().await?.pending, 3);
    processor.held.done(&ids);
    bench.all_done(5).await?;
    assert_eq!(processor.held.count(), 0);
    Ok(())
}

async fn what_is_held_keeps_its_lease_while_what_was_settled_beside_it_needs_none(
    bench: Bench,
) -> Result<()> {
    bench.publish([7, 100, 1_000]).await?;
    bench
        .bus
        .publish::<ScribbledNotes>(&[Scribble("x")])
        .await?;
    let processor = Collecting::at_most(100);
    let _stage = bench.run(short_lease(), &processor);
    let ids = processor.given(&[7], 1).await?;
    let since = Instant::now();
    let peer = Scripted::finishing(&bench.clock);
    let _peer = bench.run(short_lease(), &peer);
    let passed = async || (since.elapsed() > SHORT * 4).then_some(());
    eventually_async("some leases to pass", SOON, passed).await?;
    assert!(peer.attempts_on(7).is_empty());
    let group = bench.group().await?;
    assert_eq!((group.pending, group.done, group.dead), (1, 1, 2));
    processor.held.done(&ids);
    bench
        .group_when("the note to be done", |group| group.done == 2)
        .await?;
    Ok(())
}

async fn what_fails_later_comes_again_and_is_given_up_in_the_end(bench: Bench) -> Result<()> {
    bench.publish([1, 2]).await?;
    let processor = Collecting::at_most(100);
    let mut options = options();
    options.retry.deliveries_max = 2;
    let _stage = bench.run(options, &processor);
    processor
        .held
        .retry(verdicts(&processor.given(&[1], 1).await?));
    let again = processor.given(&[1], 2).await?;
    assert_eq!(bench.group().await?.dead, 0);
    processor.held.retry(verdicts(&again));
    bench
        .group_when("a dead letter", |group| group.dead == 1)
        .await?;
    let (number, letter) = bench.dead_letter().await?;
    let facts = (number.as_str(), letter.reason.as_str(), letter.attempts);
    assert_eq!(facts, ("1", "not_now", 2));
    // The other one was never touched.
    processor.held.done(&processor.given(&[2], 1).await?);
    bench
        .group_when("the other to be done", |group| group.done == 1)
        .await?;
    Ok(())
}

async fn what_is_given_up_later_is_a_dead_letter_with_its_reason(bench: Bench) -> Result<()> {
    bench.publish([1]).await?;
    let processor = Collecting::at_most(100);
    let _stage = bench.run(options(), &processor);
    let ids = processor.given(&[1], 1).await?;
    processor.held.dead_letter(verdicts(&ids));
    // The first word counts.
    processor.held.done(&ids);
    bench
        .group_when("a dead letter", |group| group.dead == 1)
        .await?;
    let (number, letter) = bench.dead_letter().await?;
    let facts = (number.as_str(), letter.reason.as_str(), letter.attempts);
    assert_eq!(facts, ("1", "not_now", 1));
    Ok(())
}

async fn a_stage_that_holds_as_much_as_it_may_stops_reading(bench: Bench) -> Result<()> {
    bench.publish(0..40).await?;
    let processor = Collecting::at_most(10);
    let _stage = bench.run(batches_of(5), &processor);
    let full = async || processor.held.is_full().then_some(());
    eventually_async("the stage to be full", SOON, full).await?;
    // Ten are held and a batch or two wait to be taken; the rest nobody has read.
    bench
        .group_when("what is read ahead", |group| group.pending >= 15)
        .await?;
    assert_eq!(processor.count(), 10);
    let pending = bench.group().await?.pending;
    assert!(pending <= 20, "{pending} are pending");
    for round in 0_u32..8 {
        let numbers: Vec<u32> = (round * 5..round * 5 + 5).collect();
        processor.held.done(&processor.given(&numbers, 1).await?);
    }
    bench.all_done(40).await
}

async fn what_is_done_before_the_processor_answers_is_done(bench: Bench) -> Result<()> {
    bench.publish([0, 1, 2, 100]).await?;
    let mut processor = Collecting::at_most(100);
    processor.at_once = true;
    let _stage = bench.run(options(), &processor);
    bench.all_done(4).await?;
    assert_eq!(processor.held.count(), 0);
    Ok(())
}

async fn what_is_finished_after_the_signal_is_settled_and_the_rest_is_a_peers_at_once_and_uncounted(
    bench: Bench,
) -> Result<()> {
    bench.publish(0..6).await?;
    let leaving = Collecting::at_most(100);
    let stage = bench.run(options(), &leaving);
    let ids = leaving.given(&[0, 1, 2, 3, 4, 5], 1).await?;
    stage.stop.cancel();
    leaving.held.reading_ended().await;
    assert!(!stage.has_ended());
    leaving.held.done(ids.get(..4).context("six notes")?);
    bench
        .group_when("four to be done", |group| group.done == 4)
        .await?;
    assert!(!stage.has_ended());
    leaving.held.hand_back();
    stage.ended().await?;

    // The lease is an hour: what the peer gets was handed back.
    let staying = Scripted::finishing(&bench.clock);
    let _peer = bench.run(options(), &staying);
    bench.all_done(6).await?;
    let given = staying.attempts();
    let mut given: Vec<(u32, u32)> = given
        .into_iter()
        .flat_map(|attempt| attempt.notes)
        .collect();
    given.sort_unstable();
    assert_eq!(given, [(4, 1), (5, 1)]);
    Ok(())
}

async fn a_verdict_later_that_nobody_can_finish_is_a_retry(bench: Bench) -> Result<()> {
    bench.publish([1]).await?;
    let mut processor = Collecting::at_most(100);
    processor.holds_nothing = true;
    let mut options = options();
    options.retry.deliveries_max = 1;
    let _stage = bench.run(options, &processor);
    bench
        .group_when("a dead letter", |group| group.dead == 1)
        .await?;
    assert_eq!(bench.dead_letter().await?.1.reason, "nobody_finishes_it");
    Ok(())
}
