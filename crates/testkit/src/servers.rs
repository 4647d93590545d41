//! Real servers and real worker processes for tests.
//!
//! A test that only needs *a* server takes a database of the one that its process shares:
//! [`redis_database`], [`postgres_database`], [`mongo_database`]; of a shared Kafka,
//! [`kafka_brokers`], topics and groups under its own [`kafka_prefix`]. A test that stops, kills or
//! pauses the server starts its own: [`RedisServer`], [`PostgresServer`], [`KafkaServer`],
//! [`MongoServer`]. A server that cannot be had skips the test loudly, and fails it where `CI=true`:
//!
//! ```no_run
//! # use testkit::servers::{RedisServer, or_skip};
//! let Some(redis) = or_skip("redis-server", RedisServer::start()) else { return };
//! ```
//!
//! Servers end with the test process, however it ends. What is declared first is dropped last:
//! servers and databases come before the [`WorkerProcess`]es that use them.

mod binaries;
mod eventually;
mod fault_proxy;
mod http_client;
mod kafka;
mod local_server;
mod mongo;
mod ports;
mod postgres;
mod redis;
mod shared;
mod worker_process;

#[cfg(test)]
mod tests;

use std::io::Write as _;

pub use binaries::binary;
pub use eventually::{eventually, eventually_async};
pub use fault_proxy::{FaultProxy, ProxyMode};
pub use http_client::{HttpAnswer, http_get, http_post, http_send};
pub use kafka::{KafkaServer, kafka_brokers, kafka_prefix, kafka_topics, shared_kafka};
pub use local_server::LocalServer;
pub use mongo::{
    MongoDatabase, MongoServer, Refusal, UnwillingPrimary, mongo_command, mongo_database,
    shared_mongodb_url,
};
pub use ports::{free_address, free_port};
pub use postgres::{PostgresDatabase, PostgresServer, postgres_database, shared_postgres_url};
pub use redis::{RedisDatabase, RedisServer, redis_cli, redis_database, shared_redis_url};
pub use worker_process::WorkerProcess;

/// The server, or `None` after saying on stderr that this test is skipped and why.
///
/// # Panics
///
/// Where `CI=true`: a server that is missing there is a failure.
pub fn or_skip<T>(needed: &str, server: anyhow::Result<T>) -> Option<T> {
    let error = match server {
        Ok(server) => return Some(server),
        Err(error) => error,
    };
    let thread = std::thread::current();
    let test = thread.name().unwrap_or("a test");
    let message = format!("SKIPPED: {test} needs {needed}: {error:#}");
    // A skipped test would pass unseen there.
    assert_ne!(environment("CI").as_deref(), Some("true"), "{message}");
    // Not `eprintln!`, which the test harness keeps to itself when the test passes.
    writeln!(std::io::stderr(), "{message}").ok();
    None
}

/// A variable of the environment, if it is set and not empty: what a developer says to a test.
#[expect(
    clippy::disallowed_methods,
    reason = "a test has no `main`: the environment is where a developer names servers"
)]
pub fn environment(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// The URL of another database on the same server.
fn url_of_database(url: &str, database: &str) -> String {
    let (address, query) = url.split_once('?').unwrap_or((url, ""));
    let authority = address.find("://").map_or(0, |at| at + "://".len());
    let path = address.get(authority..).and_then(|rest| rest.find('/'));
    let server = path
        .and_then(|at| address.get(..authority + at))
        .unwrap_or(address);
    let mark = if query.is_empty() { "" } else { "?" };
    format!("{server}/{database}{mark}{query}")
}
