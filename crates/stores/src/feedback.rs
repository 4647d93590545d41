//! Feedback on agents: items that wait for a flush, and the documents they become.

mod batches;
mod documents;
mod element;
mod elements;
mod item;
mod memory;
mod mongo;
mod ranking;
mod redis;
mod settings;

use std::time::Duration;

use common::UnixMillis;

pub use batches::{
    Added, BatchOverview, BatchState, BatchesOverview, DueWhen, FeedbackBatches, FlushLease,
    RefusedAgent, TakenBatch,
};
pub use documents::{DOCUMENT_BYTES_MAX, FeedbackDocuments, FeedbackDocumentsSettings, Upserted};
pub use item::{FeedbackDocument, FeedbackItem, ItemOrigin};
pub use memory::MemoryFeedbackBatches;
pub use redis::{RedisBatchOptions, RedisFeedbackBatches};
pub use settings::{FeedbackBatchSettings, FeedbackBatchStore, InvalidBatchStore};

/// From one moment to another; none if a clock was set back meanwhile.
fn age(from: UnixMillis, now: UnixMillis) -> Duration {
    let millis = now.0.saturating_sub(from.0);
    Duration::from_millis(u64::try_from(millis).unwrap_or(0))
}
