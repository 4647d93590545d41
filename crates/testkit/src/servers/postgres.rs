//! PostgreSQL for tests: a server of one's own, or a database of the shared one.

use std::hash::{BuildHasher as _, RandomState};
use std::ops::Deref;

use anyhow::{Context as _, Result};

use super::local_server::{LocalServer, run_script};
use super::shared::{Shared, SharedServer};
use super::{environment, or_skip, url_of_database};

const SCRIPT: &str = "postgres.sh";
const OPTIONS: &[&str] = &["-c", "max_connections=300"];

/// A PostgreSQL that a test may stop, kill and pause; fsync is on.
#[derive(Debug)]
pub struct PostgresServer(LocalServer);

impl PostgresServer {
    /// With room for the pools of many workers.
    pub fn start() -> Result<Self> {
        LocalServer::start(SCRIPT, OPTIONS).map(Self)
    }

    /// A new empty database beside `millrace`; it goes with the returned value.
    pub fn create_database(&self) -> Result<PostgresDatabase> {
        create_database(self.url())
    }
}

impl Deref for PostgresServer {
    type Target = LocalServer;

    fn deref(&self) -> &LocalServer {
        &self.0
    }
}

/// An empty database that nobody else uses; dropping it drops it, ending its sessions.
#[derive(Debug)]
pub struct PostgresDatabase {
    server: String,
    name: String,
    url: String,
}

impl PostgresDatabase {
    /// With user and database name.
    pub fn url(&self) -> &str {
        &self.url
    }
}

impl Drop for PostgresDatabase {
    fn drop(&mut self) {
        // The server may have been killed by the test.
        run_script(SCRIPT, &["dropdb", &self.server, &self.name]).ok();
    }
}

/// A database of the shared PostgreSQL, or `None` after a loud skip; panics where `CI=true`.
pub fn postgres_database() -> Option<PostgresDatabase> {
    or_skip(
        "PostgreSQL",
        shared_postgres_url().and_then(create_database),
    )
}

/// The PostgreSQL that tests of this process share: `DATABASE_URL` if it names one, else one
/// started at the first call.
pub fn shared_postgres_url() -> Result<&'static str> {
    static SHARED: SharedServer = SharedServer::new();
    SHARED.url(find)
}

fn find() -> Result<Shared> {
    let named = environment("DATABASE_URL").filter(|url| url.starts_with("postgres"));
    named.map_or_else(
        || LocalServer::start(SCRIPT, OPTIONS).map(Shared::Own),
        |url| Ok(Shared::Named(url)),
    )
}

fn create_database(server: &str) -> Result<PostgresDatabase> {
    let name = format!("millrace_test_{:016x}", RandomState::new().hash_one(()));
    run_script(SCRIPT, &["createdb", server, &name]).context("creating a database")?;
    let url = url_of_database(server, &name);
    Ok(PostgresDatabase {
        server: server.to_owned(),
        name,
        url,
    })
}
