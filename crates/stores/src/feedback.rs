//! Feedback on agents: items that wait for a flush, and the documents they become.

mod batches;
mod documents;
mod item;

pub use batches::{
    Added, BatchOverview, BatchState, BatchesOverview, DueWhen, FeedbackBatches, FlushLease,
    RefusedAgent, TakenBatch,
};
pub use documents::{
    DOCUMENT_BYTES_MAX, FeedbackDocuments, FeedbackDocumentsSettings, MongoFeedbackDocuments,
    SqlFeedbackDocuments, Upserted,
};
pub use item::{FeedbackDocument, FeedbackItem, ItemOrigin};
