//! What can go wrong in a store, by what the caller can do about it.

use common::Unavailable;
use redis_link::LinkError;

/// A store operation that gave no result.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The database is down, busy or not migrated. Wait and repeat; nothing was changed, or the
    /// ledger knows that it was.
    // Not transparent: the runtime looks for the cause in the chain of sources.
    #[error("{0}")]
    Unavailable(#[from] Unavailable),
    /// The database refused the statement. Repeating it with the same values changes nothing.
    #[error("{doing}: {source}")]
    Refused {
        /// What was tried, in the gerund.
        doing: &'static str,
        /// What the database said.
        source: sqlx::Error,
    },
    /// The Redis server refused a command.
    #[error(transparent)]
    Redis(LinkError),
    /// A value in the database is not what this version writes.
    #[error("{table} holds {detail}")]
    Corrupt {
        /// The table.
        table: &'static str,
        /// What was found there.
        detail: String,
    },
    /// The settings cannot be used.
    #[error(
        "DATABASE_URL (--database-url): {0}; allowed are sqlite://<file>?mode=rwc and postgres://user:password@host/database"
    )]
    Settings(String),
}

/// SQL states (PostgreSQL) and result codes (SQLite) of a database that cannot work now.
const UNAVAILABLE_STATES: [&str; 7] = ["08", "53", "57", "40", "55P03", "25006", "25P03"];
/// Busy, locked, read-only, interrupted, I/O error, full, cannot open, protocol, schema changed.
const UNAVAILABLE_CODES: [u32; 9] = [5, 6, 8, 9, 10, 13, 14, 15, 17];

impl StoreError {
    /// Sorts an error of the database.
    pub(crate) fn of(doing: &'static str, source: sqlx::Error) -> Self {
        let unavailable = match &source {
            _ if is_missing_table(&source) => true,
            sqlx::Error::Database(error) => error.code().is_some_and(|code| is_unavailable(&code)),
            sqlx::Error::Io(_)
            | sqlx::Error::Tls(_)
            | sqlx::Error::Protocol(_)
            | sqlx::Error::PoolTimedOut
            | sqlx::Error::PoolClosed
            | sqlx::Error::WorkerCrashed => true,
            _ => false,
        };
        if unavailable {
            let detail = format_args!("{doing}: {source}");
            return Self::Unavailable(Unavailable::new("sql", detail));
        }
        Self::Refused { doing, source }
    }

    /// Whether the same call may succeed later.
    pub fn is_unavailable(&self) -> bool {
        matches!(self, Self::Unavailable(_))
    }
}

/// Whether the tables are not there (yet): the database was not migrated.
pub(crate) fn is_missing_table(error: &sqlx::Error) -> bool {
    let sqlx::Error::Database(error) = error else {
        return false;
    };
    // SQLite has no code of its own for it.
    error.code().is_some_and(|code| code == "42P01") || error.message().contains("no such table")
}

fn is_unavailable(code: &str) -> bool {
    // SQLite gives numbers whose low byte is the primary code, PostgreSQL five characters.
    if code.len() != 5
        && let Ok(number) = code.parse::<u32>()
    {
        return UNAVAILABLE_CODES.contains(&(number & 0xff));
    }
    UNAVAILABLE_STATES
        .iter()
        .any(|state| code.starts_with(state))
}

impl From<LinkError> for StoreError {
    fn from(error: LinkError) -> Self {
        match error {
            LinkError::Unavailable(unavailable) => Self::Unavailable(unavailable),
            refused => Self::Redis(refused),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_runtime_finds_the_cause_in_the_chain() {
        let error = StoreError::of("reading", sqlx::Error::PoolTimedOut);
        let source = std::error::Error::source(&error);
        assert!(source.is_some_and(<dyn std::error::Error>::is::<Unavailable>));
    }

    #[test]
    fn a_database_that_cannot_work_now_is_told_from_one_that_will_never_take_the_statement() {
        for code in [
            "08006", "57P01", "40001", "40P01", "55P03", "53300", "5", "261", "13", "14",
        ] {
            assert!(is_unavailable(code), "{code}");
        }
        for code in ["23505", "22003", "42601", "1", "19", "28P01"] {
            assert!(!is_unavailable(code), "{code}");
        }
    }
}
