//! Batches in MongoDB, for those who have one and no Redis: the collection `pending_feedback_batches`.
//!
//! ```json
//! {"_id": ObjectId("…"), "kind": "element", "agentId": "a-7", "order": 1795176000000000,
//!  "addedAt": ISODate("…"), "items": 1, "bytes": 211, "urgent": false, "requested": false,
//!  "element": "{\"feedbackId\": …}", "flush": "token-1"}
//! {"_id": "flush:a-7", "kind": "flush", "agentId": "a-7", "token": "token-1",
//!  "until": ISODate("…"), "attempts": 1, "tokens": ["token-1"]}
//! ```
//!
//! An item waits as a document of its own (or, when much comes together, packed with others), so that
//! no document grows, and adding needs nothing but an insert. No step needs a transaction:
//!
//! - There is one `flush` document for each agent at most, because of its `_id`. Who inserts it, or
//!   changes its token after its lease, has the batch; everything else goes by the token.
//! - A taker marks the elements with its token, then reads what has the mark. It finishes by removing
//!   what has the mark, then the `flush` document. Nobody marks with another's token, so nothing is
//!   removed that was not read.
//! - `tokens` are those of the takers so far: who takes over marks again what they marked, and so gets
//!   the same items. A mark that is none of the current flush's means nothing.
//!
//! Time is the server's. An overview, and the look for what is due, read the index of all that waits.

mod adding;
mod records;
mod scanning;
mod taking;
mod viewing;

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use common::{AgentId, UnixMillis};
use mongodb::bson::{Document, doc, rawdoc};
use tokio::sync::OnceCell;

use super::batches::{
    Added, BatchOverview, BatchesOverview, DueWhen, FeedbackBatches, FlushLease, TakenBatch,
};
use super::item::FeedbackItem;
use crate::error::StoreError;
use crate::mongo::{MongoLink, WriteReply, unavailable};

const COLLECTION: &str = "pending_feedback_batches";

/// Batches in a MongoDB.
#[derive(Debug, Clone)]
pub(super) struct MongoFeedbackBatches {
    link: MongoLink,
    /// Bytes of the items of one agent in one `add` above which they are compressed.
    plain_bytes_max: usize,
    /// The place of the last element that this process added.
    last_order: Arc<AtomicI64>,
    indexed: Arc<OnceCell<()>>,
}

impl MongoFeedbackBatches {
    /// The batches in a database.
    pub(super) fn new(link: MongoLink, plain_bytes_max: usize) -> Self {
        Self {
            link,
            plain_bytes_max,
            last_order: Arc::default(),
            indexed: Arc::default(),
        }
    }

    /// Sees to it that there is an index by which everything is found.
    async fn prepare(&self) -> Result<(), StoreError> {
        let fields = doc! { "kind": 1, "agentId": 1, "order": 1 };
        let index = ("kind_1_agentId_1_order_1", fields);
        let create = || self.link.create_index(COLLECTION, index);
        self.indexed.get_or_try_init(create).await.copied()
    }

    /// The server's time.
    async fn now(&self) -> Result<UnixMillis, StoreError> {
        let doing = "asking MongoDB for the time";
        let hello = self.link.run(doing, rawdoc! { "hello": 1 }).await?;
        let now = hello.get_datetime("localTime");
        let now = now.map_err(|error| unavailable(format_args!("{doing}: {error}")))?;
        Ok(UnixMillis(now.timestamp_millis()))
    }

    /// Places for so many elements, after all that this process added before; the first of them.
    fn places(&self, count: usize, now: UnixMillis) -> i64 {
        let count = i64::try_from(count).unwrap_or(i64::MAX);
        let micros = now.0.saturating_mul(1_000);
        let next = |last: i64| Some(last.max(micros).saturating_add(count));
        let last = self
            .last_order
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, next);
        let last = last.unwrap_or_else(|last| last);
        last.max(micros).saturating_add(1)
    }

    /// Changes every document that fits; gives how many did.
    async fn update(
        &self,
        doing: &'static str,
        filter: Document,
        update: Document,
    ) -> Result<u64, StoreError> {
        let statement = doc! { "q": filter, "u": update, "multi": true };
        let command = doc! { "update": COLLECTION, "updates": [statement] };
        Ok(self.write(doing, command).await?.count)
    }

    /// Removes every document that fits; gives how many did.
    async fn delete(&self, doing: &'static str, filter: Document) -> Result<u64, StoreError> {
        let statement = doc! { "q": filter, "limit": 0 };
        let command = doc! { "delete": COLLECTION, "deletes": [statement] };
        Ok(self.write(doing, command).await?.count)
    }

    async fn write(
        &self,
        doing: &'static str,
        mut command: Document,
    ) -> Result<WriteReply, StoreError> {
        let concern = Document::from(self.link.write_concern());
        command.insert("writeConcern", concern);
        let reply = self.link.run_document(doing, command).await?;
        WriteReply::parse(doing, &reply)
    }
}

#[async_trait]
impl FeedbackBatches for MongoFeedbackBatches {
    fn name(&self) -> &'static str {
        "mongodb"
    }

    fn is_durable(&self) -> bool {
        true
    }

    async fn add(&self, items: &[FeedbackItem]) -> Result<Added, StoreError> {
        adding::add(self, items).await
    }

    async fn due(&self, when: &DueWhen, count: usize) -> Result<Vec<AgentId>, StoreError> {
        viewing::due(self, when, count).await
    }

    async fn take(
        &self,
        agent: &AgentId,
        lease: &FlushLease,
    ) -> Result<Option<TakenBatch>, StoreError> {
        taking::take(self, agent, lease).await
    }

    async fn renew(&self, batch: &TakenBatch, lease: &FlushLease) -> Result<bool, StoreError> {
        taking::renew(self, batch, lease.length).await
    }

    async fn release(&self, batch: &TakenBatch, wait: Duration) -> Result<(), StoreError> {
        taking::release(self, batch, wait).await
    }

    async fn finish(&self, batch: &TakenBatch) -> Result<bool, StoreError> {
        taking::finish(self, batch).await
    }

    async fn request_flush(&self, agent: Option<&AgentId>) -> Result<u64, StoreError> {
        viewing::request(self, agent).await
    }

    async fn overview(&self, count: usize) -> Result<BatchesOverview, StoreError> {
        viewing::overview(self, count).await
    }

    async fn of_agent(&self, agent: &AgentId) -> Result<Vec<BatchOverview>, StoreError> {
        viewing::of_agent(self, agent).await
    }
}
