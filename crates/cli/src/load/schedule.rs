//! When each request is due.
//!
//! At a rate the schedule is fixed before anything is sent, and an answer that comes late delays
//! nothing in it: the latency of what had to wait counts from when it was due. Otherwise a slow
//! service would slow its own measurement ("coordinated omission").

use std::time::{Duration, Instant};

/// At a rate, events wait at most so long for others of their request.
const GATHERING_MAX: Duration = Duration::from_millis(50);

/// How much is sent, and how fast.
#[derive(Debug, Clone, Copy)]
pub(super) struct Plan {
    /// Events per second; `None` is as fast as they are answered.
    pub(super) rate: Option<u32>,
    /// Events in a request at most.
    pub(super) batch: u16,
    /// Events at most.
    pub(super) events: u64,
    /// No request begins after so long.
    pub(super) duration: Duration,
}

/// One request to be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Slot {
    pub(super) due: Instant,
    pub(super) events: u64,
}

/// Gives one slot after the other.
#[derive(Debug)]
pub(super) struct Schedule {
    plan: Plan,
    started: Instant,
    taken: u64,
}

impl Schedule {
    pub(super) fn new(plan: Plan, started: Instant) -> Self {
        Self {
            plan,
            started,
            taken: 0,
        }
    }

    /// The next slot; `None` when the plan is fulfilled or its time is over.
    pub(super) fn next(&mut self, now: Instant) -> Option<Slot> {
        let due = match self.plan.rate {
            Some(rate) => self.started.checked_add(time_of(self.taken, rate))?,
            None => now,
        };
        let end = self.started.checked_add(self.plan.duration)?;
        let events = self.batch().min(self.plan.events - self.taken);
        if events == 0 || due.max(now) >= end {
            return None;
        }
        self.taken += events;
        Some(Slot { due, events })
    }

    /// Events that should have been sent in a run of full length; without a rate, nobody knows.
    pub(super) fn planned(&self) -> Option<u64> {
        let rate = u128::from(self.plan.rate?);
        let in_time = rate * self.plan.duration.as_nanos() / Duration::from_secs(1).as_nanos();
        let in_time = u64::try_from(in_time).unwrap_or(u64::MAX);
        Some(self.plan.events.min(in_time))
    }

    /// How much of the plan is done, in percent: of its events or of its time.
    pub(super) fn percent(&self, now: Instant) -> u64 {
        let events = self.taken.saturating_mul(100) / self.plan.events.max(1);
        let elapsed = now.saturating_duration_since(self.started);
        let time = elapsed.as_millis() * 100 / self.plan.duration.as_millis().max(1);
        events.max(u64::try_from(time).unwrap_or(100)).min(100)
    }

    /// Events in a request.
    fn batch(&self) -> u64 {
        let most = u64::from(self.plan.batch);
        let Some(rate) = self.plan.rate else {
            return most;
        };
        let gathered = u128::from(rate) * GATHERING_MAX.as_nanos();
        let gathered = gathered / Duration::from_secs(1).as_nanos();
        u64::try_from(gathered).unwrap_or(most).clamp(1, most)
    }
}

/// When the event of that number is due, from the start.
fn time_of(number: u64, rate: u32) -> Duration {
    let rate = u64::from(rate.max(1));
    let part = Duration::from_secs(1).mul_f64(ratio(number % rate, rate));
    Duration::from_secs(number / rate).saturating_add(part)
}

/// A fraction below one of numbers that fit into 32 bits.
fn ratio(part: u64, whole: u64) -> f64 {
    let number = |number: u64| u32::try_from(number).map_or(0.0, f64::from);
    number(part) / number(whole)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(rate: Option<u32>, batch: u16, events: u64) -> Plan {
        Plan {
            rate,
            batch,
            events,
            duration: Duration::from_secs(10),
        }
    }

    #[test]
    fn at_a_rate_slots_are_due_by_the_clock_and_not_by_the_answers() {
        let started = Instant::now();
        let mut schedule = Schedule::new(plan(Some(2_000), 500, 250), started);
        let late = started + Duration::from_secs(5);
        let slots: Vec<Slot> = std::iter::from_fn(|| schedule.next(late)).collect();
        let shown: Vec<(u128, u64)> = slots
            .iter()
            .map(|slot| ((slot.due - started).as_millis(), slot.events))
            .collect();
        assert_eq!(shown, [(0, 100), (50, 100), (100, 50)]);
        assert_eq!(schedule.planned(), Some(250));
    }

    #[test]
    fn a_low_rate_sends_single_events_and_a_high_one_full_requests() {
        let started = Instant::now();
        for (rate, expected) in [(1, 1), (39, 1), (40, 2), (2_000, 100), (100_000, 500)] {
            let mut schedule = Schedule::new(plan(Some(rate), 500, 1_000), started);
            assert_eq!(
                schedule.next(started).map(|slot| slot.events),
                Some(expected),
                "{rate}"
            );
        }
    }

    #[test]
    fn without_a_rate_a_slot_is_due_at_once() {
        let now = Instant::now();
        let mut schedule = Schedule::new(plan(None, 300, 500), now);
        for events in [300, 200] {
            assert_eq!(schedule.next(now), Some(Slot { due: now, events }));
        }
        assert_eq!((schedule.next(now), schedule.taken), (None, 500));
        assert_eq!(schedule.planned(), None);
    }

    #[test]
    fn nothing_begins_when_the_time_is_over() {
        let started = Instant::now();
        let end = started + Duration::from_secs(10);
        for rate in [None, Some(100)] {
            let mut schedule = Schedule::new(plan(rate, 500, 1_000_000), started);
            assert!(schedule.next(started).is_some());
            assert_eq!(schedule.next(end), None);
        }
        let mut schedule = Schedule::new(plan(Some(100), 500, 1_000_000), started);
        assert_eq!(std::iter::from_fn(|| schedule.next(started)).count(), 200);
        assert_eq!((schedule.taken, schedule.planned()), (1_000, Some(1_000)));
    }
}
