//! Two servers under one bus, and a bus that knows only Redis.

use std::sync::Arc;

use anyhow::Result;
use bus::{Bus, Place};
use testkit::servers::{RedisDatabase, redis_cli, redis_database};

use crate::{COMMAND_TIMEOUT, RealClock};

/// A topic of results lives in memory, everything else on Redis.
pub(crate) struct Bench {
    pub(crate) bus: Bus,
    /// What a process has that knows nothing of the other server and of no move.
    pub(crate) old: Bus,
    database: RedisDatabase,
}

impl Bench {
    /// `None` after a loud skip.
    pub(crate) fn start() -> Result<Option<Self>> {
        let Some(database) = redis_database() else {
            return Ok(None);
        };
        let place = |stream: &str| match stream {
            "test.results" => Place::Kafka,
            _ => Place::Redis,
        };
        let redis = (database.url(), COMMAND_TIMEOUT);
        Ok(Some(Self {
            bus: Bus::on_redis_and_memory(redis, Arc::new(RealClock), place)?,
            old: Bus::on_redis(database.url(), COMMAND_TIMEOUT)?,
            database,
        }))
    }

    pub(crate) fn url(&self) -> &str {
        self.database.url()
    }

    /// Runs a command as an administrator would.
    pub(crate) fn cli(&self, command: &[&str]) -> Result<String> {
        redis_cli(self.database.url(), command)
    }
}
