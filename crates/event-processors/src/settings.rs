//! What can be set.

use std::time::Duration;

use bus::BusSettings;
use clap::Parser;
use stores::{PredictionPolicy, SqlSettings};
use worker::{WorkerConfig, WorkerSettings};

/// Turns normalised events into features, analytics and prediction requests.
#[derive(Debug, Parser)]
#[command(version)]
pub(crate) struct Config {
    /// Seconds within which a person's predictions are asked for at most once
    #[arg(long, env = "PREDICTION_INTERVAL_SECONDS", default_value_t = 3600, value_parser = clap::value_parser!(u64).range(0..=31_536_000))]
    pub(crate) prediction_interval_seconds: u64,
    /// Seconds after which a person's predictions are asked for anew without a purchase
    #[arg(long, env = "PREDICTION_STALE_SECONDS", default_value_t = 24 * 3600, value_parser = clap::value_parser!(u64).range(1..=31_536_000))]
    pub(crate) prediction_stale_seconds: u64,
    /// The event bus.
    #[command(flatten)]
    pub(crate) bus: BusSettings,
    /// The feature store.
    #[command(flatten)]
    pub(crate) sql: SqlSettings,
    /// The worker.
    #[command(flatten)]
    pub(crate) worker: WorkerSettings,
}

impl Config {
    pub(crate) fn prediction_policy(&self) -> PredictionPolicy {
        PredictionPolicy {
            interval: Duration::from_secs(self.prediction_interval_seconds),
        }
    }

    pub(crate) fn prediction_stale(&self) -> Duration {
        Duration::from_secs(self.prediction_stale_seconds)
    }
}

impl WorkerConfig for Config {
    fn worker(&self) -> &WorkerSettings {
        &self.worker
    }
}
