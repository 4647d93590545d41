//! What can be set.

use std::net::SocketAddr;

use bus::BusSettings;
use clap::Parser;
use identity::Region;
use stores::{FeedbackBatchSettings, FeedbackDocumentsSettings, MongoSettings, SqlSettings};
use worker::{ConfigError, WorkerConfig, WorkerSettings, http};

/// Shows streams, profiles and analytics over HTTP.
#[derive(Debug, Parser)]
#[command(version)]
pub(crate) struct Config {
    /// Address of the admin API
    #[arg(long, env = "ADMIN_ADDRESS", default_value = "127.0.0.1:8090")]
    pub(crate) address: SocketAddr,
    /// Token that callers show as `Authorization: Bearer <token>`; needed to listen on anything but
    /// loopback
    #[arg(long, env = "ADMIN_TOKEN", hide_env_values = true)]
    pub(crate) token: Option<String>,
    /// Country of telephone numbers without one, as ISO 3166 alpha-2 such as DE
    #[arg(long, env = "DEFAULT_REGION")]
    pub(crate) default_region: Option<Region>,
    /// The event bus.
    #[command(flatten)]
    pub(crate) bus: BusSettings,
    /// The database.
    #[command(flatten)]
    pub(crate) sql: SqlSettings,
    /// Where feedback waits.
    #[command(flatten)]
    pub(crate) batches: FeedbackBatchSettings,
    /// How feedback is kept.
    #[command(flatten)]
    pub(crate) documents: FeedbackDocumentsSettings,
    /// Where feedback is kept.
    #[command(flatten)]
    pub(crate) mongo: MongoSettings,
    /// The worker.
    #[command(flatten)]
    pub(crate) worker: WorkerSettings,
}

impl WorkerConfig for Config {
    fn worker(&self) -> &WorkerSettings {
        &self.worker
    }

    /// Refuses settings that would let anybody in.
    fn check(&self) -> Result<(), ConfigError> {
        if self
            .token
            .as_ref()
            .is_some_and(|token| token.trim().is_empty())
        {
            return Err(ConfigError("ADMIN_TOKEN: the token is empty".to_owned()));
        }
        http::check_bind(
            self.address,
            self.token.is_some(),
            "ADMIN_ADDRESS",
            "ADMIN_TOKEN",
        )
    }
}
