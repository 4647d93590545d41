//! Every Redis key as a value with a grammar: `Display` and `FromStr` are inverses.
//!
//! | key | type | expiry | written by | read by |
//! |---|---|---|---|---|
//! | `feedback:batch:{agentId}` | list, newest first | none | `feedback-flusher` | `feedback-flusher`, `admin` |
//! | `feedback:batch:{agentId}:meta` | string, JSON | none | `feedback-flusher` | `feedback-flusher`, `admin` |
//! | `feedback:batches:index` | set of agent ids | none | `feedback-flusher` | `feedback-flusher`, `admin` |
//! | `post:views:{postId}` | string, count | cache | `ingestion`, `view-syncer` | `ingestion` |
//! | `user:view:{userId}:{postId}` | string `1` | 24 h | `ingestion` | `ingestion` |
//! | `pending:views` | set of post ids | none | `ingestion` | `view-syncer` |
//! | `view:batch:lock` | string, owner token | lease | `view-syncer` | `view-syncer` |
//! | `event:seen:{brandId}:{eventId}` | string, the last stage that published the event | `DEDUP_WINDOW_SECONDS` | `ingestion` | `ingestion` |
//! | `merge:proposed:{requestId}` | string, the proposing group | 24 h | `ingestion` | `ingestion` |
//! | `analytics:unique:{brandId}:{eventType}:{epochDay}` | HyperLogLog of profile ids | 400 days | `event-processors` | `admin`, `millrace` |
//! | `bus:group:{topic}:{group}` | hash, see [`GroupStateKey`] | none | the bus | the bus, `admin` |
//! | `bus:samples:{topic}` | sorted set of stream ids by entries added | none | the bus | the bus |
//! | `bus:failures:{topic}:{group}` | hash, stream id to first failure and last reason | none | the bus | the bus, `admin` |
//! | `bus:letters:{topic}` | hash, see [`LettersKey`] | none | the bus | the bus, `admin` |
//! | `bus:outbox:{messageId}` | string, the relay's name | 7 days | `event-processors` | `event-processors` |
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
pub use bus::{FailuresKey, GroupStateKey, LettersKey, OutboxKey, StreamSamplesKey};
pub use events::{EventSeenKey, MergeProposedKey};
pub use feedback::{FeedbackBatchKey, FeedbackBatchMetaKey, FeedbackBatchesIndexKey};
pub use part::InvalidKey;
pub use views::{PendingViewsKey, PostViewsKey, UserViewKey, ViewBatchLockKey};
