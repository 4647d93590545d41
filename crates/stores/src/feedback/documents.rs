//! Where feedback is kept for good.

mod mongo;
pub(crate) mod mongo_document;
mod parts;
mod settings;
mod sql;

use async_trait::async_trait;
use common::AgentId;

pub use self::settings::FeedbackDocumentsSettings;
use super::item::FeedbackDocument;
use crate::error::StoreError;

/// The largest document, whatever the store: what MongoDB takes (`maxBsonObjectSize`). MongoDB counts
/// the document as it is sent, SQL counts its texts.
pub const DOCUMENT_BYTES_MAX: usize = 16 * 1024 * 1024;

/// What became of one document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Upserted {
    /// It is new, or it replaced another version.
    Written,
    /// It was there already, or a newer version was, or the same call brought one.
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
    /// been written; repeating the call is harmless. No document is refused because of another.
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

fn too_large(bytes: usize) -> String {
    format!("it has {bytes} bytes, more than {DOCUMENT_BYTES_MAX}")
}
