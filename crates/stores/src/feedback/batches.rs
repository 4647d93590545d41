//! Feedback that waits for a flush, in one batch for each agent.

use std::time::Duration;

use async_trait::async_trait;
use common::{AgentId, UnixMillis};

use super::item::FeedbackItem;
use crate::error::StoreError;

/// What came of adding items.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Added {
    /// The agents that got items, each with the number of items that now wait.
    pub waiting: Vec<(AgentId, u64)>,
    /// Agents whose items could not be added, as when somebody else's value is in the place of their
    /// batch; nothing of theirs was changed, and the others' items were added.
    pub refused: Vec<RefusedAgent>,
}

/// Items of an agent that could not be added, though the store works.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefusedAgent {
    /// The agent.
    pub agent_id: AgentId,
    /// Why, for a person.
    pub why: String,
}

/// When a batch is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DueWhen {
    /// It has so many items,
    pub items: u64,
    /// or its first item has waited so long,
    pub age: Duration,
    /// or it has an urgent item and its first item has waited so long.
    pub urgent_age: Duration,
}

/// Who flushes, and for how long others keep away.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FlushLease {
    /// Unique for each take.
    pub token: String,
    /// After so long without renewal others take the batch over.
    pub length: Duration,
    /// Items that are taken at most; the rest stays in the batch. A store that keeps many items in
    /// one piece takes one piece at least.
    pub items_max: usize,
}

/// Items that one instance is to flush.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TakenBatch {
    /// The agent.
    pub agent_id: AgentId,
    /// The token of the lease.
    pub token: String,
    /// The items, oldest first.
    pub items: Vec<FeedbackItem>,
    /// What lies in the batch and is no item of this store, as it was found; bytes that are no text
    /// as `base64:` and their Base64.
    pub unreadable: Vec<String>,
    /// How often it was taken, this time included.
    pub attempts: u32,
    /// How long its first item has waited, by the store's clock; never negative. Nobody knows it of
    /// the rest of a batch that was taken in parts, which counts as old as the batch was.
    pub age: Duration,
}

/// Where a batch is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BatchState {
    /// It grows.
    Open,
    /// Somebody flushes it.
    Flushing,
    /// Its flush failed or its flusher died: it waits for the next try.
    Waiting,
}

/// A batch from outside. An agent may have two: one that is flushed and one that grows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BatchOverview {
    /// The agent.
    pub agent_id: AgentId,
    /// Where it is.
    pub state: BatchState,
    /// How many items it has.
    pub items: u64,
    /// About its size as it is stored.
    pub bytes: u64,
    /// When its first item came.
    pub created_at: UnixMillis,
    /// When its last item came.
    pub last_item_at: UnixMillis,
    /// How long ago its first item came, by the store's clock; never negative.
    pub age: Duration,
    /// Whether it has an urgent item.
    pub urgent: bool,
    /// How often it was taken for a flush.
    pub attempts: u32,
}

/// All batches from outside.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BatchesOverview {
    /// How many there are.
    pub total_batches: u64,
    /// How many items wait in all of them.
    pub total_items: u64,
    /// Some of them, oldest first.
    pub batches: Vec<BatchOverview>,
}

/// Batches of feedback. Each agent's batch is flushed by one instance at a time, and an instance
/// that dies over it is followed by another: `add`, `take`, write the documents, `finish`. An item
/// may be flushed twice (its documents are upserted), and is never lost.
#[async_trait]
pub trait FeedbackBatches: Send + Sync + std::fmt::Debug {
    /// The store's name as `FEEDBACK_BATCH_STORE` has it.
    fn name(&self) -> &'static str;

    /// Whether items survive this process once they are added. If not, their messages may be settled
    /// only when their batch is finished.
    fn is_durable(&self) -> bool;

    /// Adds items, those of one agent in their order. When it fails, some may have been added;
    /// repeating the call is harmless: what comes twice has the same `feedback_id`.
    async fn add(&self, items: &[FeedbackItem]) -> Result<Added, StoreError>;

    /// Agents with a batch that is due, urgent ones first, then by age; at most so many. A batch that
    /// somebody flushes is not due; one whose flush was given up is, after the wait it was
    /// released with.
    async fn due(&self, when: &DueWhen, count: usize) -> Result<Vec<AgentId>, StoreError>;

    /// Takes the oldest items of an agent in one atomic step. Nothing when nothing waits or somebody
    /// else flushes. A flush that died comes first, with the same items.
    async fn take(
        &self,
        agent: &AgentId,
        lease: &FlushLease,
    ) -> Result<Option<TakenBatch>, StoreError>;

    /// Keeps others away for one lease more; gives whether the batch is still this taker's.
    async fn renew(&self, batch: &TakenBatch, lease: &FlushLease) -> Result<bool, StoreError>;

    /// Gives a batch up for now: it is due again after a wait. Nothing if it is no longer this taker's.
    async fn release(&self, batch: &TakenBatch, wait: Duration) -> Result<(), StoreError>;

    /// Drops a batch that was flushed; gives whether it was still this taker's.
    async fn finish(&self, batch: &TakenBatch) -> Result<bool, StoreError>;

    /// Makes the batches of an agent, or of all, due at once: those that grow, whole, and those that
    /// wait for another try. Gives how many these are; what somebody flushes is not among them.
    async fn request_flush(&self, agent: Option<&AgentId>) -> Result<u64, StoreError>;

    /// The batches, the oldest of them in full, at most so many.
    async fn overview(&self, count: usize) -> Result<BatchesOverview, StoreError>;

    /// The batches of one agent: the one that grows and the one that is flushed.
    async fn of_agent(&self, agent: &AgentId) -> Result<Vec<BatchOverview>, StoreError>;
}
