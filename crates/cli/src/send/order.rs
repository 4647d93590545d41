//! Batches that are answered out of order, put back in order.

use std::collections::BTreeMap;
use std::ops::AddAssign;

use serde::{Deserialize, Serialize};

use super::batches::Place;
use super::event::Reject;

/// What became of events.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(crate) struct Counts {
    pub(crate) accepted: u64,
    pub(crate) duplicate: u64,
    /// Rejected by the service.
    pub(crate) rejected: u64,
    /// Rejected here, without asking.
    pub(crate) rejected_locally: u64,
}

impl Counts {
    /// Events that the service answered.
    pub(crate) fn sent(self) -> u64 {
        self.accepted + self.duplicate + self.rejected
    }

    /// Events that do not count.
    pub(crate) fn all_rejected(self) -> u64 {
        self.rejected + self.rejected_locally
    }
}

impl AddAssign for Counts {
    fn add_assign(&mut self, other: Self) {
        self.accepted += other.accepted;
        self.duplicate += other.duplicate;
        self.rejected += other.rejected;
        self.rejected_locally += other.rejected_locally;
    }
}

/// A batch that is answered.
#[derive(Debug, Default)]
pub(crate) struct Answered {
    pub(crate) end: Place,
    pub(crate) counts: Counts,
    pub(crate) rejects: Vec<Reject>,
}

/// Holds batches back until all before them are answered.
#[derive(Debug, Default)]
pub(super) struct InOrder {
    begun: u64,
    released: u64,
    held: BTreeMap<u64, Answered>,
}

impl InOrder {
    /// The number of the next batch.
    pub(super) fn begin(&mut self) -> u64 {
        let number = self.begun;
        self.begun += 1;
        number
    }

    /// Takes an answered batch; gives those that are answered together with all before them.
    pub(super) fn finish(&mut self, number: u64, answered: Answered) -> Vec<Answered> {
        self.held.insert(number, answered);
        let mut released = Vec::new();
        while let Some(answered) = self.held.remove(&self.released) {
            self.released += 1;
            released.push(answered);
        }
        released
    }

    /// Batches that are begun and not released.
    pub(super) fn outstanding(&self) -> u64 {
        self.begun - self.released
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn batches_are_released_in_the_order_of_the_input() {
        let mut order = InOrder::default();
        for number in 0..4 {
            assert_eq!(order.begin(), number);
        }
        let mut finish = |number: u64| -> Vec<u64> {
            let end = Place {
                bytes: number,
                lines: number,
            };
            let released = order.finish(
                number,
                Answered {
                    end,
                    ..Answered::default()
                },
            );
            released.iter().map(|answered| answered.end.bytes).collect()
        };
        assert!(finish(2).is_empty());
        assert_eq!(finish(0), [0]);
        assert_eq!(finish(1), [1, 2]);
        assert_eq!(finish(3), [3]);
        assert_eq!(order.outstanding(), 0);
    }
}
