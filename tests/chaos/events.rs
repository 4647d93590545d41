//! The flow of events: HTTP, normalisation, effects in SQL.

mod audit;
mod deployment;
mod faults;
mod mill;
mod sales;

use anyhow::Result;
use testkit::servers::{RedisServer, or_skip};
use tests::SqlServer;

pub(crate) use deployment::Deployment;

/// Starts it over a database; `None` after a loud skip.
pub(crate) fn start(sql: Option<SqlServer>) -> Result<Option<Deployment>> {
    let Some(redis) = or_skip("redis-server", RedisServer::start()) else {
        return Ok(None);
    };
    let Some(sql) = sql else { return Ok(None) };
    Deployment::start(redis, sql).map(Some)
}
