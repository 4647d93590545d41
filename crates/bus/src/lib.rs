//! Moving messages: topics, consumer groups, retries and dead letters, on Redis Streams or in
//! memory, behind one contract (`tests/contract.rs`).
//!
//! The bus knows nothing of what messages mean. Delivery is at least once. What makes effects
//! exactly once is offered here: outputs are published in the same atomic step that settles the
//! message which caused them, and a message that may have been processed before says so.

mod audit;
mod backoff;
mod bus;
mod claims;
mod consumer;
mod dead_letter;
mod decisions;
mod delivery;
mod error;
mod first_id;
mod housekeeping;
mod in_hand;
mod kafka;
mod late_letter;
mod member;
mod memory;
mod message_id;
pub mod metrics;
mod migration;
mod moves;
mod once;
mod operating;
mod options;
mod overview;
mod place;
mod reading;
mod redis;
mod routed;
mod server;
mod settings;
mod settlement;
mod streams;
mod trouble;

pub use audit::{GroupAudit, TopicAudit};
pub use backoff::RetryPolicy;
pub use bus::Bus;
pub use consumer::{Consumer, Deliveries, Subscription};
pub use dead_letter::{DeadLetter, Redriven};
pub use delivery::{Delivery, StoredMessage};
pub use error::BusError;
pub use in_hand::DeliveryBatch;
pub use kafka::{InvalidKafka, KafkaServers};
pub use late_letter::LateLetter;
pub use message_id::{InvalidMessageId, MessageId};
pub use migration::{Migrated, Migration, MigrationError};
pub use moves::{Move, MoveState};
pub use once::{ClaimWindow, Once, OnceRule};
pub use operating::PendingMessage;
pub use options::SubscribeOptions;
pub use overview::{Count, GroupOverview, TopicOverview};
pub use place::Place;
pub use redis_link::{InvalidServer, RedisServers, Role, ServerStatus};
pub use server::Risk;
pub use settings::{BusSettings, NotOpened};
pub use settlement::{Output, Settled, Settlement, Verdict};
