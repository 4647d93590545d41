//! What can be set.

use std::net::SocketAddr;
use std::time::Duration;

use bus::BusSettings;
use clap::Parser;
use identity::Region;
use stores::SqlSettings;
use worker::{ConfigError, WorkerConfig, WorkerSettings, http};

/// What this process does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Role {
    /// Both.
    All,
    /// Takes events in.
    Api,
    /// Gives them their normal form.
    Normalizer,
}

impl Role {
    pub(crate) fn serves_api(self) -> bool {
        matches!(self, Self::All | Self::Api)
    }

    pub(crate) fn normalizes(self) -> bool {
        matches!(self, Self::All | Self::Normalizer)
    }
}

/// Takes events in over HTTP, gives them their normal form and says whose they are.
#[derive(Debug, Parser)]
#[command(version)]
pub(crate) struct Config {
    /// What this process does; both roles by default, or one of them to scale them apart
    #[arg(long, env = "INGESTION_ROLE", value_enum, default_value = "all")]
    pub(crate) role: Role,
    /// Address of the HTTP API
    #[arg(long, env = "INGESTION_ADDRESS", default_value = "127.0.0.1:8080")]
    pub(crate) address: SocketAddr,
    /// Keys that senders show as `Authorization: Bearer <key>`, separated by commas; needed to
    /// listen on anything but loopback
    #[arg(
        long,
        env = "INGESTION_API_KEYS",
        value_delimiter = ',',
        hide_env_values = true
    )]
    pub(crate) api_keys: Vec<String>,
    /// Seconds within which the same event id of a brand is a duplicate
    #[arg(long, env = "DEDUP_WINDOW_SECONDS", default_value_t = 7 * 24 * 3600, value_parser = clap::value_parser!(u64).range(1..=31_536_000))]
    pub(crate) dedup_window_seconds: u64,
    /// Country of telephone numbers without one, as ISO 3166 alpha-2 such as DE
    #[arg(long, env = "DEFAULT_REGION")]
    pub(crate) default_region: Option<Region>,
    /// The event bus.
    #[command(flatten)]
    pub(crate) bus: BusSettings,
    /// The profile store.
    #[command(flatten)]
    pub(crate) sql: SqlSettings,
    /// The worker.
    #[command(flatten)]
    pub(crate) worker: WorkerSettings,
}

impl Config {
    pub(crate) fn dedup_window(&self) -> Duration {
        Duration::from_secs(self.dedup_window_seconds)
    }
}

impl WorkerConfig for Config {
    fn worker(&self) -> &WorkerSettings {
        &self.worker
    }

    /// Refuses settings that would let anybody in.
    fn check(&self) -> Result<(), ConfigError> {
        if self.api_keys.iter().any(|key| key.trim().is_empty()) {
            return Err(ConfigError("INGESTION_API_KEYS: a key is empty".to_owned()));
        }
        if !self.role.serves_api() {
            return Ok(());
        }
        let guarded = !self.api_keys.is_empty();
        http::check_bind(
            self.address,
            guarded,
            "INGESTION_ADDRESS",
            "INGESTION_API_KEYS",
        )
    }
}
