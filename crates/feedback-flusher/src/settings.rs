//! What can be set.

use std::time::Duration;

use bus::BusSettings;
use clap::Parser;
use common::AgentId;
use stores::{
    DueWhen, FeedbackBatchSettings, FeedbackDocumentsSettings, MongoSettings, SqlSettings,
};
use worker::{ConfigError, WorkerConfig, WorkerSettings};

use crate::item::ItemRules;

/// Batches feedback on agents and writes it to the document store.
#[derive(Debug, Parser)]
#[command(version)]
pub(crate) struct Config {
    /// When and how batches are flushed.
    #[command(flatten)]
    pub(crate) flush: FlushSettings,
    /// Bytes of all texts of an item at most; larger ones become dead letters
    #[arg(long, env = "FEEDBACK_ITEM_BYTES_MAX", default_value_t = 1024 * 1024, value_parser = clap::value_parser!(u32).range(1..=16_000_000))]
    item_bytes_max: u32,
    /// Agents whose feedback is always urgent, separated by commas
    #[arg(long, env = "FEEDBACK_URGENT_AGENTS", value_delimiter = ',')]
    urgent_agents: Vec<AgentId>,
    /// Messages that are held at most while their batches wait in memory
    #[arg(long, env = "FEEDBACK_HELD_MAX", default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub(crate) held_max: u32,
    /// The event bus.
    #[command(flatten)]
    pub(crate) bus: BusSettings,
    /// Where feedback waits.
    #[command(flatten)]
    pub(crate) batches: FeedbackBatchSettings,
    /// How feedback is kept.
    #[command(flatten)]
    pub(crate) documents: FeedbackDocumentsSettings,
    /// Where feedback is kept.
    #[command(flatten)]
    pub(crate) mongo: MongoSettings,
    /// Where feedback is kept without MongoDB.
    #[command(flatten)]
    pub(crate) sql: SqlSettings,
    /// The worker.
    #[command(flatten)]
    pub(crate) worker: WorkerSettings,
}

/// When and how batches are flushed.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Flushing")]
pub(crate) struct FlushSettings {
    /// Items with which a batch is flushed
    #[arg(long, env = "FEEDBACK_BATCH_SIZE", default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=100_000))]
    pub(crate) batch_size: u64,
    /// Milliseconds after its first item in which a batch is flushed whatever its size
    #[arg(long, env = "FEEDBACK_BATCH_TIME_MS", default_value_t = 300_000, value_parser = clap::value_parser!(u64).range(1..=86_400_000))]
    batch_time_ms: u64,
    /// Milliseconds between two looks for batches that have waited long enough
    #[arg(long, env = "FEEDBACK_WORKER_CHECK_INTERVAL_MS", default_value_t = 60_000, value_parser = clap::value_parser!(u64).range(10..=3_600_000))]
    check_interval_ms: u64,
    /// Milliseconds that a batch with an urgent item waits
    #[arg(long, env = "FEEDBACK_URGENT_TIME_MS", default_value_t = 10_000, value_parser = clap::value_parser!(u64).range(0..=86_400_000))]
    urgent_time_ms: u64,
    /// Batches that this instance flushes at the same time
    #[arg(long, env = "FEEDBACK_FLUSH_CONCURRENCY", default_value_t = 10, value_parser = clap::value_parser!(u16).range(1..=1_000))]
    pub(crate) flush_concurrency: u16,
    /// Items of an agent that are flushed together at most
    #[arg(long, env = "FEEDBACK_FLUSH_ITEMS_MAX", default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub(crate) flush_items_max: u32,
    /// Milliseconds after which others take over a flush that is not renewed
    #[arg(long, env = "FEEDBACK_FLUSH_LEASE_MS", default_value_t = 30_000, value_parser = clap::value_parser!(u64).range(300..=3_600_000))]
    flush_lease_ms: u64,
    /// Milliseconds before a flush that failed is tried again; doubles with each
    #[arg(long, env = "FEEDBACK_FLUSH_RETRY_BASE_MS", default_value_t = 1_000, value_parser = clap::value_parser!(u64).range(10..=3_600_000))]
    flush_retry_base_ms: u64,
    /// Milliseconds before a flush that failed is tried again at most
    #[arg(long, env = "FEEDBACK_FLUSH_RETRY_CAP_MS", default_value_t = 60_000, value_parser = clap::value_parser!(u64).range(10..=3_600_000))]
    flush_retry_cap_ms: u64,
    /// Tries after which an item whose document cannot be written becomes a dead letter
    #[arg(long, env = "FEEDBACK_ATTEMPTS_MAX", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=100))]
    pub(crate) attempts_max: u32,
    /// Events that are published in one call at most
    #[arg(long, env = "FEEDBACK_PUBLISH_MAX", default_value_t = 500, value_parser = clap::value_parser!(u16).range(1..=500))]
    pub(crate) publish_max: u16,
}

impl Config {
    pub(crate) fn item_rules(&self) -> ItemRules {
        ItemRules {
            bytes_max: usize::try_from(self.item_bytes_max).unwrap_or(usize::MAX),
            urgent_agents: self.urgent_agents.iter().cloned().collect(),
        }
    }
}

impl FlushSettings {
    pub(crate) fn batch_time(&self) -> Duration {
        Duration::from_millis(self.batch_time_ms)
    }

    pub(crate) fn check_interval(&self) -> Duration {
        Duration::from_millis(self.check_interval_ms)
    }

    pub(crate) fn lease(&self) -> Duration {
        Duration::from_millis(self.flush_lease_ms)
    }

    /// The wait after so many tries, before its jitter.
    pub(crate) fn retry_wait(&self, attempts: u32) -> Duration {
        let doublings = attempts.saturating_sub(1).min(30);
        let wait_ms = self.flush_retry_base_ms.saturating_mul(1 << doublings);
        Duration::from_millis(wait_ms.min(self.flush_retry_cap_ms))
    }

    /// When a batch is due.
    pub(crate) fn due_when(&self) -> DueWhen {
        DueWhen {
            items: self.batch_size,
            age: self.batch_time(),
            urgent_age: Duration::from_millis(self.urgent_time_ms),
        }
    }
}

impl WorkerConfig for Config {
    fn worker(&self) -> &WorkerSettings {
        &self.worker
    }

    /// Refuses settings that contradict one another.
    fn check(&self) -> Result<(), ConfigError> {
        let FlushSettings {
            flush_retry_base_ms,
            flush_retry_cap_ms,
            ..
        } = self.flush;
        if flush_retry_cap_ms < flush_retry_base_ms {
            return Err(ConfigError(format!(
                "FEEDBACK_FLUSH_RETRY_CAP_MS: {flush_retry_cap_ms} is less than FEEDBACK_FLUSH_RETRY_BASE_MS, \
                 {flush_retry_base_ms}"
            )));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_contracts_numbers_are_the_defaults() {
        let config = Config::parse_from(["feedback-flusher"]);
        let due = config.flush.due_when();
        let seconds = (due.age.as_secs(), due.urgent_age.as_secs());
        assert_eq!((due.items, seconds), (10, (300, 10)));
        assert_eq!(config.flush.check_interval(), Duration::from_mins(1));
        assert_eq!(config.flush.flush_concurrency, 10);
        assert_eq!(config.item_rules().bytes_max, 1_048_576);
    }

    #[test]
    fn waits_double_up_to_their_cap() {
        let config = Config::parse_from(["feedback-flusher", "--flush-retry-cap-ms=3500"]);
        for (attempts, wait_ms) in [(0, 1_000), (1, 1_000), (2, 2_000), (3, 3_500), (99, 3_500)] {
            let wait = config.flush.retry_wait(attempts);
            assert_eq!(wait.as_millis(), wait_ms, "{attempts} attempts");
        }
        let arguments = [
            "feedback-flusher",
            "--flush-retry-base-ms=5000",
            "--flush-retry-cap-ms=10",
        ];
        let error = Config::parse_from(arguments).check();
        assert!(error.is_err_and(|error| error.0.contains("FEEDBACK_FLUSH_RETRY_CAP_MS")));
    }
}
