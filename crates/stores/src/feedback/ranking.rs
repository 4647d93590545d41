//! The first few of many, in bounded memory.

use std::collections::BTreeSet;

use common::{AgentId, UnixMillis};

/// Where a batch comes among those that are due: urgent ones first, then the oldest.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Rank {
    is_patient: bool,
    created_at: UnixMillis,
    pub(super) agent: AgentId,
}

impl Rank {
    pub(super) fn new(is_urgent: bool, created_at: UnixMillis, agent: AgentId) -> Self {
        Self {
            is_patient: !is_urgent,
            created_at,
            agent,
        }
    }
}

/// Keeps the smallest of the values that it is given.
#[derive(Debug)]
pub(super) struct Ranking<T> {
    kept: BTreeSet<T>,
    count: usize,
}

impl<T: Ord> Ranking<T> {
    /// Keeps so many.
    pub(super) fn of(count: usize) -> Self {
        Self {
            kept: BTreeSet::new(),
            count,
        }
    }

    pub(super) fn add(&mut self, value: T) {
        self.kept.insert(value);
        if self.kept.len() > self.count {
            self.kept.pop_last();
        }
    }

    /// Smallest first.
    pub(super) fn into_iter(self) -> impl Iterator<Item = T> {
        self.kept.into_iter()
    }
}
