//! The SQL database: which one, how it is opened, and the few places where the two differ.

mod rows;
mod settings;

use std::error::Error;
use std::time::Duration;

use common::Unavailable;
use sqlx::any::{AnyPoolOptions, AnyRow};
use sqlx::migrate::Migrator;
use sqlx::pool::PoolConnection;
use sqlx::postgres::PgConnectOptions;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{
    Any, AnyConnection, AnyPool, AssertSqlSafe, Connection as _, Executor as _, Transaction,
};

pub(crate) use self::rows::{Column, Rows};
pub use self::settings::SqlSettings;
use crate::error::{StoreError, is_missing_table};

static MIGRATIONS: Migrator = sqlx::migrate!("./migrations");

/// How long a connection may take to be had.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a connection that is given back may take to say that it is alive. A caller that waits no
/// longer leaves one in the middle of a statement; if its server vanished without a word, the pool
/// would ask it for ever, and be empty after a few of them.
const RELEASE_TIMEOUT: Duration = Duration::from_secs(5);
/// Migrations of SQLite have no lock: who loses a race looks again.
const MIGRATION_ATTEMPTS: u32 = 10;
const MIGRATION_WAIT: Duration = Duration::from_millis(200);

/// Every write reaches the disk before it is answered, and a writer waits for another.
const SQLITE_SETUP: &str = "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; \
     PRAGMA busy_timeout = 10000; PRAGMA temp_store = MEMORY";
/// Nothing waits for ever, and a stopped worker does not hold its locks for long.
const POSTGRES_SETUP: &str = "SET statement_timeout = '30s'; SET lock_timeout = '10s'; \
     SET idle_in_transaction_session_timeout = '30s'; SET client_min_messages = 'warning'";

/// The kind of database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Engine {
    /// One file on this machine.
    Sqlite,
    /// A server.
    Postgres,
}

impl Engine {
    /// The kind of database that a URL names, if it can be used.
    fn of_url(url: &str) -> Result<Self, StoreError> {
        let (engine, options) = match url.split_once(':') {
            Some(("sqlite", _)) => (Self::Sqlite, url.parse::<SqliteConnectOptions>().map(drop)),
            Some(("postgres" | "postgresql", _)) => {
                (Self::Postgres, url.parse::<PgConnectOptions>().map(drop))
            }
            Some((scheme, _)) => {
                return Err(StoreError::Settings(format!("unknown scheme {scheme}")));
            }
            None => return Err(StoreError::Settings("it is not a URL".to_owned())),
        };
        // What is around the cause says no more than that it is about settings.
        options
            .map(|()| engine)
            .map_err(|error| StoreError::Settings(root_cause(&error)))
    }
}

/// An open database. Clones share its connections.
#[derive(Debug, Clone)]
pub struct Database {
    pool: AnyPool,
    engine: Engine,
}

impl Database {
    /// Opens a database. Connects when first used.
    pub fn open(url: &str, connections_max: u32) -> Result<Self, StoreError> {
        sqlx::any::install_default_drivers();
        let engine = Engine::of_url(url)?;
        let setup = match engine {
            Engine::Sqlite => SQLITE_SETUP,
            Engine::Postgres => POSTGRES_SETUP,
        };
        let pool = AnyPoolOptions::new()
            .max_connections(connections_max)
            .acquire_timeout(ACQUIRE_TIMEOUT)
            .after_connect(move |connection, _| {
                Box::pin(async move { connection.execute(setup).await.map(drop) })
            })
            .after_release(|connection, _| {
                Box::pin(async move {
                    let alive = tokio::time::timeout(RELEASE_TIMEOUT, connection.ping()).await;
                    alive.map_or(Err(sqlx::Error::PoolTimedOut), |pinged| {
                        pinged.map(|()| true)
                    })
                })
            })
            .connect_lazy(url)
            .map_err(|error| StoreError::Settings(error.to_string()))?;
        Ok(Self { pool, engine })
    }

    /// The kind of database.
    pub fn engine(&self) -> Engine {
        self.engine
    }

    /// Brings the tables to this version; gives how many migrations were applied.
    pub async fn migrate(&self) -> Result<usize, StoreError> {
        let mut attempt = 1;
        loop {
            let before = self.pending_migrations().await?;
            match MIGRATIONS.run(&self.pool).await {
                Ok(()) => return Ok(before),
                Err(_) if attempt < MIGRATION_ATTEMPTS => attempt += 1,
                Err(error) => return Err(migration_error(error)),
            }
            tokio::time::sleep(MIGRATION_WAIT).await;
        }
    }

    /// How many migrations are still to be applied.
    pub async fn pending_migrations(&self) -> Result<usize, StoreError> {
        let applied = "SELECT COUNT(*) FROM _sqlx_migrations WHERE success";
        let count: Result<i64, sqlx::Error> =
            sqlx::query_scalar(applied).fetch_one(&self.pool).await;
        let known = MIGRATIONS.iter().count();
        match count {
            Ok(count) => Ok(known.saturating_sub(usize::try_from(count).unwrap_or(0))),
            Err(error) if is_missing_table(&error) => Ok(known),
            Err(error) => Err(StoreError::at_start(
                "reading the version of the tables",
                error,
            )),
        }
    }

    /// An error until the tables are of this version. In the local mode (SQLite) they are brought
    /// there; a server is migrated by the command `millrace migrate`, once for all workers.
    pub async fn ready(&self) -> Result<(), StoreError> {
        let pending = self.pending_migrations().await?;
        if pending == 0 {
            return Ok(());
        }
        if self.engine == Engine::Sqlite {
            return self.migrate().await.map(drop);
        }
        let detail = format!("{pending} migrations are missing; run `millrace migrate`");
        Err(StoreError::Unavailable(Unavailable::new("sql", detail)))
    }

    pub(crate) fn pool(&self) -> &AnyPool {
        &self.pool
    }

    /// One connection, for statements that are no transaction.
    pub(crate) async fn connection(&self) -> Result<PoolConnection<Any>, StoreError> {
        let connection = self.pool.acquire().await;
        connection.map_err(|error| StoreError::of("connecting", error))
    }

    /// Begins a transaction that will write. SQLite takes its one write lock at once: a
    /// transaction that reads first and writes later could be refused in the middle.
    pub(crate) async fn begin(&self) -> Result<Transaction<'static, Any>, StoreError> {
        let begun = match self.engine {
            Engine::Sqlite => self.pool.begin_with("BEGIN IMMEDIATE").await,
            Engine::Postgres => self.pool.begin().await,
        };
        begun.map_err(|error| StoreError::of("beginning a transaction", error))
    }

    /// Rows of values as a table that a statement can select from, bound to its parameter `$1`.
    pub(crate) fn rows(&self, columns: &[Column]) -> Rows {
        Rows::new(self.engine, columns)
    }
}

fn root_cause(error: &(dyn Error + 'static)) -> String {
    error.source().map_or_else(|| error.to_string(), root_cause)
}

/// Runs a statement whose only parameter is the rows it selects from.
pub(crate) async fn fetch_with(
    connection: &mut AnyConnection,
    doing: &'static str,
    statement: String,
    rows: String,
) -> Result<Vec<AnyRow>, StoreError> {
    sqlx::query(AssertSqlSafe(statement))
        .bind(rows)
        .fetch_all(connection)
        .await
        .map_err(|error| StoreError::of(doing, error))
}

fn migration_error(error: sqlx::migrate::MigrateError) -> StoreError {
    match error {
        sqlx::migrate::MigrateError::Execute(error) => StoreError::of("migrating", error),
        other => StoreError::of("migrating", sqlx::Error::Migrate(Box::new(other))),
    }
}
