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

#[cfg(test)]
mod tests {
    use clap::Parser;
    use common::UnixMillis;

    use super::*;

    #[derive(Debug, Parser)]
    struct Worker {
        #[command(flatten)]
        redis: RedisServers,
        #[command(flatten)]
        batches: FeedbackBatchSettings,
        #[command(flatten)]
        mongo: MongoSettings,
    }

    #[derive(Debug)]
    struct NoClock;

    impl Clock for NoClock {
        fn now(&self) -> UnixMillis {
            UnixMillis(0)
        }
    }

    fn settings(arguments: &[&str]) -> Result<Worker, clap::Error> {
        Worker::try_parse_from(["worker"].iter().chain(arguments))
    }

    fn open(arguments: &[&str]) -> Result<Arc<dyn FeedbackBatches>, InvalidBatchStore> {
        let arguments = ["worker"].iter().chain(arguments);
        let Worker {
            redis,
            batches,
            mongo,
        } = Worker::parse_from(arguments);
        batches.open(&redis, &mongo, Arc::new(NoClock))
    }

    #[test]
    fn the_store_that_is_named_is_opened_and_redis_is_the_default() {
        for (arguments, name, is_durable) in [
            (&[][..], "redis", true),
            (&["--feedback-batch-store=redis"], "redis", true),
            (&["--feedback-batch-store=memory"], "memory", false),
        ] {
            let batches = open(arguments).expect("a store");
            assert_eq!((batches.name(), batches.is_durable()), (name, is_durable));
        }
        let without = open(&["--feedback-batch-store=mongodb"]);
        assert!(matches!(without, Err(InvalidBatchStore::NoMongoDb)));
        assert!(settings(&["--feedback-batch-store=paper"]).is_err());
    }

    #[test]
    fn what_is_set_reaches_the_store() {
        let default = settings(&[]).expect("settings").batches.on_redis();
        assert_eq!(default, RedisBatchOptions::default());
        let set = settings(&[
            "--feedback-compress-bytes=1000",
            "--feedback-wait-replicas=2",
            "--feedback-wait-replicas-ms=30",
        ]);
        let expected = RedisBatchOptions {
            plain_bytes_max: 1_000,
            replicas: 2,
            replicas_wait: Duration::from_millis(30),
        };
        assert_eq!(set.expect("settings").batches.on_redis(), expected);
    }
}
