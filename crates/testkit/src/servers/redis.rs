//! Redis for tests: a server of one's own, or a database of the shared one.

use std::ops::Deref;
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::{Context as _, Result};

use super::local_server::{LocalServer, run};
use super::shared::{Shared, SharedServer};
use super::{environment, eventually, or_skip, url_of_database};

const SCRIPT: &str = "redis.sh";
/// More databases than a test process has tests, so that none is used twice.
const SHARED_DATABASES: &str = "1024";
const CLAIM_SECONDS_MAX: &str = "3600";
const CLAIM_WAIT_MAX: Duration = Duration::from_mins(1);

/// A Redis that a test may stop, kill and pause; everything is fsynced before it answers.
#[derive(Debug)]
pub struct RedisServer(LocalServer);

impl RedisServer {
    /// Started as `deploy/redis.conf` says.
    pub fn start() -> Result<Self> {
        Self::start_with(&[])
    }

    /// With more options for `redis-server`: `["--maxmemory", "8mb"]`.
    pub fn start_with(options: &[&str]) -> Result<Self> {
        LocalServer::start(SCRIPT, options).map(Self)
    }
}

impl Deref for RedisServer {
    type Target = LocalServer;

    fn deref(&self) -> &LocalServer {
        &self.0
    }
}

/// An empty numbered database that nobody else uses; emptied when dropped.
///
/// Scripts, ACLs, `INFO` and `FLUSHALL` are the whole server's: a test of those starts its own.
#[derive(Debug)]
pub struct RedisDatabase {
    server: String,
    number: usize,
    url: String,
}

impl RedisDatabase {
    /// With the number of the database as its path.
    pub fn url(&self) -> &str {
        &self.url
    }
}

impl Drop for RedisDatabase {
    fn drop(&mut self) {
        // The claim goes only when the database is empty again.
        if redis_cli(&self.url, &["FLUSHDB"]).is_ok() {
            redis_cli(&self.server, &["DEL", &claim_key(self.number)]).ok();
        }
    }
}

/// A database of the shared Redis, or `None` after a loud skip; panics where `CI=true`.
pub fn redis_database() -> Option<RedisDatabase> {
    or_skip("redis-server", shared_redis_url().and_then(claim_database))
}

/// The Redis that tests of this process share: `REDIS_URL`, else one started at the first call.
pub fn shared_redis_url() -> Result<&'static str> {
    static SHARED: SharedServer = SharedServer::new();
    SHARED.url(find)
}

/// Runs one command with `redis-cli` and returns its raw answer.
pub fn redis_cli(url: &str, command: &[&str]) -> Result<String> {
    run(Command::new("redis-cli")
        .args(["--no-auth-warning", "-e", "-u", url])
        .args(command))
    .with_context(|| format!("asking Redis for {command:?}"))
}

fn find() -> Result<Shared> {
    if let Some(url) = environment("REDIS_URL") {
        redis_cli(&url, &["PING"]).context("REDIS_URL is set, and its server does not answer")?;
        return Ok(Shared::Named(url_of_database(&url, "0")));
    }
    // No test of the shared server asks what survives a power cut: no fsync per write.
    let options = ["--databases", SHARED_DATABASES, "--appendfsync", "everysec"];
    LocalServer::start(SCRIPT, &options).map(Shared::Own)
}

/// Databases of a server named by `REDIS_URL` may be somebody's: only an empty one is taken, and a
/// key in database 0 tells other test processes that it is.
fn claim_database(server: &'static str) -> Result<RedisDatabase> {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    let setting = redis_cli(server, &["CONFIG", "GET", "databases"])?;
    let count: usize = setting
        .lines()
        .nth(1)
        .and_then(|line| line.parse().ok())
        .unwrap_or(16);

    eventually("an empty Redis database", CLAIM_WAIT_MAX, || {
        let number = 1 + NEXT.fetch_add(1, Ordering::Relaxed) % count.saturating_sub(1).max(1);
        try_claim(server, number).transpose()
    })?
}

fn try_claim(server: &str, number: usize) -> Result<Option<RedisDatabase>> {
    let key = claim_key(number);
    let owner = std::process::id().to_string();
    let claimed = redis_cli(
        server,
        &["SET", &key, &owner, "NX", "EX", CLAIM_SECONDS_MAX],
    )?;
    if claimed != "OK" {
        return Ok(None);
    }
    let url = url_of_database(server, &number.to_string());
    if redis_cli(&url, &["DBSIZE"])? != "0" {
        redis_cli(server, &["DEL", &key])?;
        return Ok(None);
    }
    Ok(Some(RedisDatabase {
        server: server.to_owned(),
        number,
        url,
    }))
}

fn claim_key(number: usize) -> String {
    format!("millrace:testkit:claim:{number}")
}
