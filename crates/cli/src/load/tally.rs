//! What was sent and what the service said to it.

use std::collections::BTreeMap;
use std::ops::Range;
use std::time::{Duration, Instant};

use super::latency::Latencies;
use super::number_set::NumberSet;
use super::traffic::AGAIN;
use crate::send::order::{Answered, Counts};

/// Reasons that are counted apart; a service has only so many.
const REASONS_MAX: usize = 20;

/// One request: its new events, and how many others it sends again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Request {
    pub(super) numbers: Range<u64>,
    pub(super) again: u64,
}

/// Sums over the answers.
#[derive(Debug)]
pub(super) struct Tally {
    /// Events in requests that were begun, with those that were sent again.
    pub(super) sent: u64,
    /// Of these, those that were sent again on purpose.
    pub(super) sent_again: u64,
    /// As answered.
    pub(super) counts: Counts,
    /// Why events were rejected.
    pub(super) reasons: BTreeMap<String, u64>,
    /// Events that the service has, each once.
    pub(super) accepted: NumberSet,
    pub(super) answers: Latencies,
    /// The first sending and the last answer.
    pub(super) span: Option<(Instant, Instant)>,
}

impl Request {
    /// All events in it.
    pub(super) fn len(&self) -> u64 {
        self.numbers.end - self.numbers.start + self.again
    }
}

impl Tally {
    pub(super) fn new() -> Self {
        Self {
            sent: 0,
            sent_again: 0,
            counts: Counts::default(),
            reasons: BTreeMap::new(),
            accepted: NumberSet::default(),
            answers: Latencies::new(),
            span: None,
        }
    }

    /// A request goes out.
    pub(super) fn begin(&mut self, request: &Request, now: Instant) {
        self.sent += request.len();
        self.sent_again += request.again;
        self.span.get_or_insert((now, now));
    }

    /// Its answer is here. What is a duplicate was accepted before: perhaps by an attempt whose
    /// answer was lost.
    pub(super) fn answered(&mut self, request: &Request, answered: &Answered, since: Instant) {
        let now = Instant::now();
        self.answers
            .record(now.saturating_duration_since(since), request.len());
        self.counts += answered.counts;
        let mut rejected = Vec::new();
        for reject in &answered.rejects {
            if reject.line != AGAIN {
                rejected.push(reject.line);
            }
            if self.reasons.len() < REASONS_MAX || self.reasons.contains_key(&reject.reason) {
                *self.reasons.entry(reject.reason.clone()).or_default() += 1;
            }
        }
        for number in request.numbers.clone() {
            if !rejected.contains(&number) {
                self.accepted.insert(number);
            }
        }
        if let Some((_, last)) = &mut self.span {
            *last = now;
        }
    }

    /// From the first sending to the last answer.
    pub(super) fn elapsed(&self) -> Duration {
        self.span.map_or(Duration::ZERO, |(first, last)| {
            last.saturating_duration_since(first)
        })
    }

    /// Events answered in a second.
    pub(super) fn rate(&self) -> u64 {
        let millis = u64::try_from(self.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.counts.sent().saturating_mul(1_000) / millis.max(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::send::event::Reject;

    fn reject(line: u64) -> Reject {
        Reject {
            line,
            event_id: None,
            reason: "backlog".to_owned(),
            message: String::new(),
        }
    }

    #[test]
    fn the_service_has_what_it_did_not_reject() {
        let request = Request {
            numbers: 1..5,
            again: 2,
        };
        let mut tally = Tally::new();
        tally.begin(&request, Instant::now());
        assert_eq!((tally.sent, tally.sent_again), (6, 2));
        let answered = Answered {
            counts: Counts {
                accepted: 2,
                duplicate: 2,
                rejected: 2,
                rejected_locally: 0,
            },
            rejects: vec![reject(3), reject(AGAIN)],
            ..Answered::default()
        };
        tally.answered(&request, &answered, Instant::now());
        assert_eq!(tally.accepted.iter().collect::<Vec<u64>>(), [1, 2, 4]);
        assert_eq!(tally.reasons, [("backlog".to_owned(), 2)].into());
        assert_eq!(tally.answers.percentiles().map(|it| it.count), Some(6));
    }
}
