//! Feedback on agents: items that wait for a flush, and the documents they become.

mod batches;
mod documents;
mod item;
mod shown;

pub use batches::{
    Added, BatchOverview, BatchState, BatchesOverview, DueWhen, FeedbackBatches, FlushLease,
    RefusedAgent, TakenBatch,
};
pub use documents::{FeedbackDocuments, Upserted};
pub use item::{FeedbackDocument, FeedbackItem, ItemOrigin};
