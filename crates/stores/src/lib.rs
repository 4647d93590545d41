//! State: profiles, features, analytics and the outbox in SQL (SQLite or PostgreSQL), estimates in
//! Redis, and feedback in MongoDB or SQL. It knows nothing of topics and processors.
//!
//! Effects are applied together with the ids of the messages that caused them, in one transaction
//! per batch, so that a message that comes again changes nothing.

mod analytics;
mod effects;
mod error;
mod features;
mod feedback;
mod id_ranges;
mod ledger;
mod mongo;
mod outbox;
mod profiles;
mod sql;
mod unique_profiles;

pub use analytics::{Analytics, Bucket, BucketQuery, Grain};
pub use effects::{Applied, EventFact, Features, MessageKey, PredictionPolicy, Purchase};
pub use error::StoreError;
pub use features::{PersonFeatures, Revenue, WindowFeatures};
pub use feedback::{
    Added, BatchOverview, BatchState, BatchesOverview, DOCUMENT_BYTES_MAX, DueWhen,
    FeedbackBatchSettings, FeedbackBatchStore, FeedbackBatches, FeedbackDocument,
    FeedbackDocuments, FeedbackDocumentsSettings, FeedbackItem, FlushLease, InvalidBatchStore,
    ItemOrigin, MemoryFeedbackBatches, RedisBatchOptions, RedisFeedbackBatches, RefusedAgent,
    TakenBatch, Upserted,
};
pub use mongo::MongoSettings;
pub use outbox::{Outbox, OutboxMessage};
pub use profiles::{
    IdentifierKey, KnownProfiles, NewIdentifier, NewProfile, Owner, Person, PersonView, Profiles,
};
pub use redis_link::{InvalidServer, RedisServers, Role};
pub use sql::{Database, Engine, SqlSettings};
pub use unique_profiles::{UniqueProfiles, UniqueSighting};
