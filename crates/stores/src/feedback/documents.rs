//! Where feedback is kept for good.

use async_trait::async_trait;
use common::AgentId;

use super::item::FeedbackDocument;
use crate::error::StoreError;

/// What became of one document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Upserted {
    /// It is new, or it replaced an older version.
    Written,
    /// It was there already, or a newer version was.
    Unchanged,
    /// The store can never keep it; why, for a person.
    Refused(String),
}

/// A store of feedback documents. Everything it says is written survives the loss of its process
/// (with MongoDB: of a minority of its servers).
#[async_trait]
pub trait FeedbackDocuments: Send + Sync + std::fmt::Debug {
    /// Creates what is missing: indexes.
    async fn prepare(&self) -> Result<(), StoreError>;

    /// Writes documents and says of each what became of it, in order. When it fails, some may have
    /// been written; repeating the call is harmless.
    async fn upsert(&self, documents: &[FeedbackDocument]) -> Result<Vec<Upserted>, StoreError>;

    /// The newest documents of an agent by `created_at`, at most so many.
    async fn of_agent(
        &self,
        agent: &AgentId,
        count: u32,
    ) -> Result<Vec<FeedbackDocument>, StoreError>;

    /// How many documents there are, of an agent or of all.
    async fn count(&self, agent: Option<&AgentId>) -> Result<u64, StoreError>;
}
