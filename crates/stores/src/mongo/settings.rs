//! Where MongoDB is.

use std::fmt;
use std::time::Duration;

use mongodb::options::ConnectionString;

use super::MongoLink;

/// MongoDB, where there is one.
#[derive(Clone, clap::Args)]
#[command(next_help_heading = "MongoDB")]
pub struct MongoSettings {
    /// URL of MongoDB; without one feedback is kept in the SQL database
    #[arg(long, env = "MONGODB_URI", hide_env_values = true, value_parser = checked_uri)]
    pub mongodb_uri: Option<String>,
    /// Database on MongoDB; otherwise the URL's, or `millrace`
    #[arg(long, env = "MONGODB_DATABASE", value_parser = checked_database)]
    pub mongodb_database: Option<String>,
    /// Milliseconds that finding and reaching a MongoDB server may take
    #[arg(long, env = "MONGODB_CONNECT_TIMEOUT_MS", default_value_t = 5_000, value_parser = clap::value_parser!(u64).range(100..=600_000))]
    pub mongodb_connect_timeout_ms: u64,
    /// Milliseconds that a MongoDB command may take, its way and its replication included
    #[arg(long, env = "MONGODB_TIMEOUT_MS", default_value_t = 30_000, value_parser = clap::value_parser!(u64).range(100..=3_600_000))]
    pub mongodb_timeout_ms: u64,
}

/// What MongoDB refuses in the name of a database.
const NOT_IN_NAMES: [char; 7] = ['/', '\\', '.', ' ', '"', '$', '\0'];
const NAME_BYTES_MAX: usize = 63;

/// The URL, if it can be read. What the driver says about one may quote it, password included.
fn checked_uri(uri: &str) -> Result<String, &'static str> {
    let allowed = "allowed are mongodb://user:password@host:port/database?options and \
         mongodb+srv://user:password@host/database?options";
    ConnectionString::parse(uri)
        .map(|_| uri.to_owned())
        .map_err(|_| allowed)
}

fn checked_database(name: &str) -> Result<String, &'static str> {
    let fits = (1..=NAME_BYTES_MAX).contains(&name.len());
    if fits && !name.contains(NOT_IN_NAMES) {
        return Ok(name.to_owned());
    }
    Err("allowed are 1 to 63 bytes without any of /\\. \"$")
}

/// The URL may hold a password and is not printed.
impl fmt::Debug for MongoSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MongoSettings").finish_non_exhaustive()
    }
}

impl MongoSettings {
    /// The MongoDB of these settings, if they name one. Connects when first used.
    pub(crate) fn link(&self) -> Option<MongoLink> {
        let uri = self.mongodb_uri.as_deref()?;
        Some(MongoLink::new(uri, self.clone()))
    }

    pub(super) fn mongodb_connect_timeout(&self) -> Duration {
        Duration::from_millis(self.mongodb_connect_timeout_ms)
    }

    pub(super) fn mongodb_timeout(&self) -> Duration {
        Duration::from_millis(self.mongodb_timeout_ms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_that_cannot_be_read_is_refused_without_being_quoted() {
        for uri in [
            "",
            "localhost:27017",
            "http://a:secret@b/c",
            "mongodb://ann:sec@ret@host/",
            "mongodb://ann:secret@host/?w=two&readPreference=x",
        ] {
            let problem = checked_uri(uri).unwrap_err();
            assert!(!problem.contains("secret"), "{problem}");
        }
        for uri in [
            "mongodb://127.0.0.1:27017",
            "mongodb://ann:secret@a:1,b:2/feedback?replicaSet=rs0&tls=true",
            "mongodb+srv://ann:secret@cluster0.example.net/",
        ] {
            assert_eq!(checked_uri(uri).as_deref(), Ok(uri));
        }
    }

    #[test]
    fn names_that_mongodb_refuses_are_refused_at_once() {
        let long = "x".repeat(64);
        for name in ["", "a.b", "a b", "a/b", "$a", long.as_str()] {
            assert!(checked_database(name).is_err(), "{name:?}");
        }
        assert!(checked_database("feedback_2026-prod").is_ok());
    }
}
