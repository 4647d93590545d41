//! Batches within one process: what they hold is lost with it, so the messages that brought it are
//! settled when it is flushed.

mod state;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use common::{AgentId, Clock, Unavailable, UnixMillis};

use self::state::State;
use super::batches::{
    Added, BatchOverview, BatchesOverview, DueWhen, FeedbackBatches, FlushLease, TakenBatch,
};
use super::item::FeedbackItem;
use crate::error::StoreError;

/// Batches in the memory of this process.
#[derive(Debug)]
pub struct MemoryFeedbackBatches {
    clock: Arc<dyn Clock>,
    items_max: usize,
    state: Mutex<State>,
}

impl MemoryFeedbackBatches {
    /// No batches, and room for so many items in all of them.
    pub fn new(clock: Arc<dyn Clock>, items_max: usize) -> Self {
        Self {
            clock,
            items_max,
            state: Mutex::default(),
        }
    }

    fn with<R>(&self, action: impl FnOnce(&mut State, UnixMillis) -> R) -> R {
        let now = self.clock.now();
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        action(&mut state, now)
    }
}

#[async_trait]
impl FeedbackBatches for MemoryFeedbackBatches {
    fn name(&self) -> &'static str {
        "memory"
    }

    fn is_durable(&self) -> bool {
        false
    }

    async fn add(&self, items: &[FeedbackItem]) -> Result<Added, StoreError> {
        self.with(|state, now| {
            let waiting = state.items();
            // What comes at once fits into an empty store, however much it is.
            if waiting > 0 && waiting.saturating_add(items.len()) > self.items_max {
                let detail = format!("{waiting} feedback items wait, and more do not fit");
                return Err(Unavailable::new("memory", detail).into());
            }
            Ok(state.add(items, now))
        })
    }

    async fn due(&self, when: &DueWhen, count: usize) -> Result<Vec<AgentId>, StoreError> {
        Ok(self.with(|state, now| state.due(when, count, now)))
    }

    async fn take(
        &self,
        agent: &AgentId,
        lease: &FlushLease,
    ) -> Result<Option<TakenBatch>, StoreError> {
        Ok(self.with(|state, now| state.take(agent, lease, now)))
    }

    async fn renew(&self, batch: &TakenBatch, lease: &FlushLease) -> Result<bool, StoreError> {
        Ok(self.with(|state, now| state.renew(batch, lease.length, now)))
    }

    async fn release(&self, batch: &TakenBatch, wait: Duration) -> Result<(), StoreError> {
        self.with(|state, now| state.release(batch, wait, now));
        Ok(())
    }

    async fn finish(&self, batch: &TakenBatch) -> Result<bool, StoreError> {
        Ok(self.with(|state, _| state.finish(batch)))
    }

    async fn request_flush(&self, agent: Option<&AgentId>) -> Result<u64, StoreError> {
        Ok(self.with(|state, now| state.request(agent, now)))
    }

    async fn overview(&self, count: usize) -> Result<BatchesOverview, StoreError> {
        Ok(self.with(|state, now| state.overview(count, now)))
    }

    async fn of_agent(&self, agent: &AgentId) -> Result<Vec<BatchOverview>, StoreError> {
        Ok(self.with(|state, now| state.of_agent(agent, now)))
    }
}

#[cfg(test)]
mod tests;
