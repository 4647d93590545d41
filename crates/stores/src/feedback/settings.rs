//! Where feedback waits, from the command line and the environment.

use std::sync::Arc;
use std::time::Duration;

use common::Clock;
use redis_link::{InvalidServer, RedisServers, Role};

use super::batches::FeedbackBatches;
use super::memory::MemoryFeedbackBatches;
use super::mongo::MongoFeedbackBatches;
use super::redis::{RedisBatchOptions, RedisFeedbackBatches};
use crate::mongo::MongoSettings;

/// A store of feedback that waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum FeedbackBatchStore {
    /// In Redis: survives the workers, and is shared by them.
    Redis,
    /// In this process: messages are settled when their feedback is flushed.
    Memory,
    /// In MongoDB, the collection `pending_feedback_batches`: like Redis, and slower.
    Mongodb,
}

/// A store that cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum InvalidBatchStore {
    /// The Redis server's settings cannot be used.
    #[error(transparent)]
    Redis(#[from] InvalidServer),
    /// There is no MongoDB.
    #[error("FEEDBACK_BATCH_STORE (--feedback-batch-store): mongodb needs MONGODB_URI")]
    NoMongoDb,
}

/// Feedback that waits.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Feedback batches")]
pub struct FeedbackBatchSettings {
    /// Where feedback waits until it is flushed
    #[arg(long, env = "FEEDBACK_BATCH_STORE", value_enum, default_value_t = FeedbackBatchStore::Redis)]
    pub feedback_batch_store: FeedbackBatchStore,
    /// Bytes of the feedback on one agent that comes together above which it is compressed in Redis or MongoDB
    #[arg(long, env = "FEEDBACK_COMPRESS_BYTES", default_value_t = 65_536, value_parser = clap::value_parser!(u32).range(256..=16_777_216))]
    pub feedback_compress_bytes: u32,
    /// Redis replicas that must have feedback before it counts as stored
    #[arg(long, env = "FEEDBACK_WAIT_REPLICAS", default_value_t = 0, value_parser = clap::value_parser!(u32).range(0..=100))]
    pub feedback_wait_replicas: u32,
    /// Milliseconds that the replicas are waited for
    #[arg(long, env = "FEEDBACK_WAIT_REPLICAS_MS", default_value_t = 1_000, value_parser = clap::value_parser!(u64).range(1..=60_000))]
    pub feedback_wait_replicas_ms: u64,
    /// Items that wait in the memory of one process at most
    #[arg(long, env = "FEEDBACK_MEMORY_ITEMS_MAX", default_value_t = 100_000, value_parser = clap::value_parser!(u32).range(1..))]
    pub feedback_memory_items_max: u32,
}

impl FeedbackBatchSettings {
    /// The store of these settings. Connects when first used.
    pub fn open(
        &self,
        redis: &RedisServers,
        mongo: &MongoSettings,
        clock: Arc<dyn Clock>,
    ) -> Result<Arc<dyn FeedbackBatches>, InvalidBatchStore> {
        match self.feedback_batch_store {
            FeedbackBatchStore::Redis => {
                let link = redis.link(Role::Feedback)?;
                Ok(Arc::new(RedisFeedbackBatches::new(link, self.on_redis())))
            }
            FeedbackBatchStore::Memory => {
                let items_max = count(self.feedback_memory_items_max);
                Ok(Arc::new(MemoryFeedbackBatches::new(clock, items_max)))
            }
            FeedbackBatchStore::Mongodb => {
                let link = mongo.link().ok_or(InvalidBatchStore::NoMongoDb)?;
                let plain_bytes_max = count(self.feedback_compress_bytes);
                Ok(Arc::new(MongoFeedbackBatches::new(link, plain_bytes_max)))
            }
        }
    }

    fn on_redis(&self) -> RedisBatchOptions {
        RedisBatchOptions {
            plain_bytes_max: count(self.feedback_compress_bytes),
            replicas: self.feedback_wait_replicas,
            replicas_wait: Duration::from_millis(self.feedback_wait_replicas_ms),
        }
    }
}

fn count(number: u32) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}
