//! What can go wrong in a store, by what the caller can do about it.

use common::Unavailable;
use redis_link::LinkError;
use sqlx::error::DatabaseError;

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
    /// MongoDB refused the command. Repeating it with the same values changes nothing.
    #[error("{doing}: {detail}")]
    MongoRefused {
        /// What was tried, in the gerund.
        doing: &'static str,
        /// What the server said.
        detail: String,
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

/// Classes of SQL states (PostgreSQL) that blame the values of a statement: cardinality, data,
/// integrity, limits. Anything else is the database's own trouble: then nothing may be given up.
const REFUSED_CLASSES: [&str; 4] = ["21", "22", "23", "54"];
/// Result codes (SQLite) that do: too big, constraint, mismatch, range.
const REFUSED_CODES: [u32; 4] = [18, 19, 20, 25];
/// Classes that are settings gone wrong when they are met at start: authorisation, catalogue name.
const SETTINGS_CLASSES: [&str; 2] = ["28", "3D"];

impl StoreError {
    /// Sorts an error of the database.
    pub(crate) fn of(doing: &'static str, source: sqlx::Error) -> Self {
        let refused = match &source {
            sqlx::Error::Database(error) => error.code().is_some_and(|code| blames_values(&code)),
            sqlx::Error::ColumnDecode { .. }
            | sqlx::Error::Decode(_)
            | sqlx::Error::Encode(_)
            | sqlx::Error::TypeNotFound { .. } => true,
            _ => false,
        };
        if refused {
            return Self::Refused { doing, source };
        }
        let detail = format_args!("{doing}: {source}");
        Self::Unavailable(Unavailable::new("sql", detail))
    }

    /// [`StoreError::of`] for the first call: an unknown user or database is final then. Later it
    /// may be a password that is being changed, and is waited for.
    pub(crate) fn at_start(doing: &'static str, source: sqlx::Error) -> Self {
        let code = source.as_database_error().and_then(DatabaseError::code);
        let code = code.as_deref().unwrap_or_default();
        if SETTINGS_CLASSES
            .iter()
            .any(|class| code.len() == 5 && code.starts_with(class))
        {
            return Self::Refused { doing, source };
        }
        Self::of(doing, source)
    }

    /// Whether something in the values of the call can never be written.
    pub(crate) fn blames_values(&self) -> bool {
        matches!(self, Self::Refused { .. } | Self::MongoRefused { .. })
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

fn blames_values(code: &str) -> bool {
    // SQLite gives numbers whose low byte is the primary code, PostgreSQL five characters.
    if code.len() != 5
        && let Ok(number) = code.parse::<u32>()
    {
        return REFUSED_CODES.contains(&(number & 0xff));
    }
    REFUSED_CLASSES.iter().any(|class| code.starts_with(class))
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
    fn only_a_statement_whose_values_are_to_blame_is_refused() {
        for code in [
            "08006", "57P01", "40P01", "55P03", "28P01", "42P01", "58030", "5", "261", "11",
        ] {
            assert!(!blames_values(code), "{code}");
        }
        for code in ["23505", "22003", "22021", "54000", "19", "1555", "18"] {
            assert!(blames_values(code), "{code}");
        }
    }
}
