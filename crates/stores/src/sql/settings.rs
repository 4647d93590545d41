//! Where the database is.

use std::fmt;

use super::{Database, Engine};
use crate::error::StoreError;

/// The SQL database.
#[derive(Clone, clap::Args)]
#[command(next_help_heading = "SQL")]
pub struct SqlSettings {
    /// URL of the SQL database: `sqlite://<file>?mode=rwc` or
    /// `postgres://user:password@host/database`
    #[arg(
        long,
        env = "DATABASE_URL",
        hide_env_values = true,
        value_parser = checked_url,
        default_value = "sqlite://.run/millrace.db?mode=rwc"
    )]
    pub database_url: String,
    /// Connections to the SQL database at most
    #[arg(long, env = "DATABASE_CONNECTIONS_MAX", default_value_t = 4, value_parser = clap::value_parser!(u32).range(1..=100))]
    pub database_connections_max: u32,
}

/// The URL, if it names a database that can be used.
fn checked_url(url: &str) -> Result<String, StoreError> {
    Engine::of_url(url).map(|_| url.to_owned())
}

/// The URL may hold a password and is not printed.
impl fmt::Debug for SqlSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqlSettings").finish_non_exhaustive()
    }
}

impl SqlSettings {
    /// The database of these settings. Connects when first used.
    pub fn open(&self) -> Result<Database, StoreError> {
        Database::open(&self.database_url, self.database_connections_max)
    }
}
