//! What this instance knows of the batches that its stages added to.
//!
//! The store tells a batch's age by its own clock. Should that jump back, the instance's steady clock
//! still says when it first added to the batch, so no flush is late by more than the batch time.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use common::AgentId;
use tokio::sync::Notify;

/// Batches that are remembered at most; the store knows the others.
const REMEMBERED_MAX: usize = 100_000;

/// Open batches. Clones are the same.
#[derive(Debug, Clone)]
pub(crate) struct OpenBatches {
    /// Items with which a batch is full.
    full_at: u64,
    state: Arc<Mutex<State>>,
    told: Arc<Notify>,
}

#[derive(Debug, Default)]
struct State {
    full: BTreeSet<AgentId>,
    since: BTreeMap<AgentId, Seen>,
}

#[derive(Debug, Clone, Copy)]
struct Seen {
    first: Instant,
    items: u64,
}

impl OpenBatches {
    pub(crate) fn new(full_at: u64) -> Self {
        Self {
            full_at,
            state: Arc::default(),
            told: Arc::default(),
        }
    }

    /// Items were added to batches, which now have so many.
    pub(crate) fn added(&self, waiting: &[(AgentId, u64)]) {
        let now = Instant::now();
        let any_full = self.with(|state| {
            for (agent, items) in waiting {
                state.saw(agent, *items, now);
                if *items >= self.full_at {
                    state.full.insert(agent.clone());
                }
            }
            !state.full.is_empty()
        });
        if any_full {
            self.told.notify_one();
        }
    }

    /// Waits until some batches are full.
    pub(crate) async fn full(&self) -> Vec<AgentId> {
        loop {
            let full = self.with(|state| std::mem::take(&mut state.full));
            if !full.is_empty() {
                return full.into_iter().collect();
            }
            self.told.notified().await;
        }
    }

    /// Agents whose batch this instance has known for so long.
    pub(crate) fn known_for(&self, age: Duration) -> Vec<AgentId> {
        self.with(|state| {
            let old = state.since.iter();
            old.filter(|(_, seen)| seen.first.elapsed() >= age)
                .map(|(agent, _)| agent.clone())
                .collect()
        })
    }

    /// The batch was taken, or there was none: the next one is another.
    pub(crate) fn taken(&self, agent: &AgentId) {
        self.with(|state| state.since.remove(agent));
    }

    fn with<R>(&self, action: impl FnOnce(&mut State) -> R) -> R {
        action(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl State {
    fn saw(&mut self, agent: &AgentId, items: u64, now: Instant) {
        if let Some(seen) = self.since.get_mut(agent) {
            // It shrank, so somebody took it, and this is another one.
            if items <= seen.items {
                seen.first = now;
            }
            seen.items = items;
        } else if self.since.len() < REMEMBERED_MAX {
            let seen = Seen { first: now, items };
            self.since.insert(agent.clone(), seen);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn agent(name: &str) -> AgentId {
        AgentId::new(name).expect("valid")
    }

    #[tokio::test]
    async fn a_batch_that_is_full_is_told_once() {
        let open = OpenBatches::new(10);
        open.added(&[(agent("a"), 9), (agent("b"), 10), (agent("c"), 12)]);
        open.added(&[(agent("b"), 11)]);
        assert_eq!(open.full().await, [agent("b"), agent("c")]);
        let waiting = tokio::time::timeout(Duration::from_millis(20), open.full());
        assert!(waiting.await.is_err());
        open.added(&[(agent("a"), 10)]);
        assert_eq!(open.full().await, [agent("a")]);
    }

    #[test]
    fn the_age_of_a_batch_begins_anew_when_it_was_taken_here_or_elsewhere() {
        let open = OpenBatches::new(10);
        open.added(&[(agent("a"), 1), (agent("b"), 5), (agent("c"), 3)]);
        let begin = Instant::now();
        while begin.elapsed() < Duration::from_millis(2) {}
        let age = begin.elapsed();
        assert_eq!(open.known_for(age), [agent("a"), agent("b"), agent("c")]);
        open.taken(&agent("a"));
        open.added(&[(agent("b"), 2), (agent("c"), 4)]);
        assert_eq!(open.known_for(age), [agent("c")]);
    }
}
