//! Every Redis key as a value with a grammar: `Display` and `FromStr` are inverses.
//!
//! | key | type | expiry | written by | read by |
//! |---|---|---|---|---|
//! | `feedback:batch:{agentId}` | list, newest first | none | `feedback-flusher` | `feedback-flusher`, `admin` |
//! | `feedback:batch:{agentId}:meta` | string, JSON | none | `feedback-flusher` | `feedback-flusher`, `admin` |
//! | `feedback:batches:index` | set of agent ids | none | `feedback-flusher` | `feedback-flusher`, `admin` |
//! | `feedback:batches:urgent` | set of agent ids | none, goes with the batch | `feedback-flusher` | `feedback-flusher`, `admin` |
//! | `feedback:batches:requested` | set of agent ids | none, goes with the batch | `feedback-flusher`, `admin` | `feedback-flusher` |
//! | `feedback:flush:{agentId}` | list, newest first | none, goes with the flush | `feedback-flusher` | `feedback-flusher`, `admin` |
//! | `feedback:flush:{agentId}:state` | hash, see [`FeedbackFlushStateKey`] | none, goes with the flush | `feedback-flusher` | `feedback-flusher`, `admin` |
//! | `feedback:flushes` | sorted set of agent ids by the end of their lease or wait | none, goes with the flush | `feedback-flusher`, `admin` | `feedback-flusher`, `admin` |
//! | `post:views:{postId}` | string, count | cache | `ingestion`, `view-syncer` | `ingestion` |
//! | `user:view:{userId}:{postId}` | string `1` | 24 h | `ingestion` | `ingestion` |
//! | `pending:views` | set of post ids | none | `ingestion` | `view-syncer` |
//! | `view:batch:lock` | string, owner token | lease | `view-syncer` | `view-syncer` |
//! | `analytics:unique:{brandId}:{eventType}:{epochDay}` | HyperLogLog of profile ids | 400 days | `event-processors` | `admin`, `millrace` |
//! | `bus:group:{topic}:{group}` | hash, see [`GroupStateKey`] | none | the bus | the bus, `admin` |
//! | `bus:samples:{topic}` | sorted set of stream ids by entries added | none | the bus | the bus |
//! | `bus:failures:{topic}:{group}` | hash, stream id to first failure and last reason | none | the bus | the bus, `admin` |
//! | `bus:letters:{topic}` | hash, see [`LettersKey`] | none | the bus | the bus, `admin` |
//! | `bus:moved:{topic}` | hash, see [`MovedKey`]; while it is there, `{topic}` and `{topic}.dlq` are strings that stop late writers | none | `millrace bus migrate` | the bus |
//! | `bus:moving:{stream}` | stream, see [`MovingStreamKey`] | 30 days after the move | `millrace bus migrate` | `millrace bus migrate` |
//! | `bus:claims:{windowMs}:{number}` | hash, what was claimed to who claimed it last | two windows | the bus | the bus |
//!
//! What is claimed has a name with a grammar too. It is a field of `bus:claims:…`, because a field
//! takes half the memory and time of a key:
//!
//! | name | claimed by | window |
//! |---|---|---|
//! | `event:seen:{brandId}:{eventId}` | the last stage of `ingestion` that published the event | `DEDUP_WINDOW_SECONDS` |
//! | `merge:proposed:{requestId}` | the proposing group | 24 h |
//! | `bus:output:{cause}:{group}:{causeId}:{topic}:{number}` | the settling group | 24 h |
//! | `bus:outbox:{messageId}` | the relay of `event-processors` | 7 days |
//! | `feedback:created:{eventId}` | `feedback-flusher` | 24 h |
//! | `feedback:letter:{stream}:{id}` | `feedback-flusher` | as long as letters are kept |
//!
//! A value inside a key that contains `:`, `%`, `{` or `}` is percent-encoded there, so that every
//! key can be read back.

mod analytics;
mod bus;
mod events;
mod feedback;
mod part;
mod views;

pub use analytics::UniqueProfilesKey;
pub use bus::{
    ClaimsKey, FailuresKey, GroupStateKey, LettersKey, MovedKey, MovingStreamKey, OutboxKey,
    OutputKey, StreamSamplesKey,
};
pub use events::{EventSeenKey, MergeProposedKey};
pub use feedback::{
    FeedbackBatchKey, FeedbackBatchMetaKey, FeedbackBatchesIndexKey, FeedbackCreatedKey,
    FeedbackFlushKey, FeedbackFlushStateKey, FeedbackFlushesKey, FeedbackLetterKey,
    FeedbackRequestedKey, FeedbackUrgentKey,
};
pub use part::InvalidKey;
pub use views::{PendingViewsKey, PostViewsKey, UserViewKey, ViewBatchLockKey};
