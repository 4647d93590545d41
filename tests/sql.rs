//! The two kinds of SQL database, for one suite over both.

use anyhow::Result;
use tempfile::TempDir;
use testkit::servers::{PostgresServer, or_skip};

/// A database of one's own.
#[derive(Debug)]
pub enum SqlServer {
    /// A file in a folder that goes with it.
    Sqlite(TempDir),
    /// A server that may be restarted.
    Postgres(PostgresServer),
}

/// An empty SQLite database.
pub fn sqlite() -> Result<SqlServer> {
    Ok(SqlServer::Sqlite(tempfile::tempdir()?))
}

impl SqlServer {
    /// A PostgreSQL server, or `None` after a loud skip.
    pub fn postgres() -> Option<Self> {
        or_skip("postgresql", PostgresServer::start()).map(Self::Postgres)
    }

    /// `DATABASE_URL`.
    pub fn url(&self) -> String {
        match self {
            Self::Sqlite(folder) => {
                format!(
                    "sqlite://{}?mode=rwc",
                    folder.path().join("millrace.db").display()
                )
            }
            Self::Postgres(server) => server.url().to_owned(),
        }
    }

    /// Kills the server, if it is one, and starts it again with the same data.
    pub fn restart(&self) -> Result<()> {
        match self {
            Self::Sqlite(_) => Ok(()),
            Self::Postgres(server) => {
                server.kill()?;
                server.restart()
            }
        }
    }
}
