//! Where the Redis servers are: one for all roles, or one for each.

use std::fmt;
use std::time::Duration;

use redis::IntoConnectionInfo as _;

use crate::error::InvalidServer;
use crate::link::Link;

/// What a Redis server is used for. Roles may live on different servers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Event streams and what the bus remembers about them.
    Streams,
    /// Feedback batches.
    Feedback,
    /// View counters and estimates for analytics.
    Views,
}

/// The Redis servers.
#[derive(Clone, clap::Args)]
#[command(next_help_heading = "Redis")]
#[expect(
    clippy::struct_field_names,
    reason = "clap makes the option names from the field names"
)]
pub struct RedisServers {
    /// URL of the Redis server of every role without a URL of its own; `rediss://` is TLS
    #[arg(long, env = "REDIS_URL", hide_env_values = true, value_parser = checked_url)]
    redis_url: Option<String>,
    /// URL of the Redis server of the event streams
    #[arg(long, env = "REDIS_STREAMS_URL", hide_env_values = true, value_parser = checked_url)]
    redis_streams_url: Option<String>,
    /// URL of the Redis server of the feedback batches
    #[arg(long, env = "REDIS_FEEDBACK_URL", hide_env_values = true, value_parser = checked_url)]
    redis_feedback_url: Option<String>,
    /// URL of the Redis server of the view counters
    #[arg(long, env = "REDIS_VIEWS_URL", hide_env_values = true, value_parser = checked_url)]
    redis_views_url: Option<String>,
    /// Host of the Redis server, when no URL is given
    #[arg(long, env = "REDIS_HOST", default_value = "127.0.0.1", value_parser = checked_host)]
    redis_host: String,
    /// Port of the Redis server, when no URL is given
    #[arg(long, env = "REDIS_PORT", default_value_t = 6379)]
    redis_port: u16,
    /// User name on the Redis server, when no URL is given
    #[arg(long, env = "REDIS_USERNAME")]
    redis_username: Option<String>,
    /// Password on the Redis server, when no URL is given
    #[arg(long, env = "REDIS_PASSWORD", hide_env_values = true)]
    redis_password: Option<String>,
    /// Database number on the Redis server, when no URL is given
    #[arg(long, env = "REDIS_DB", default_value_t = 0)]
    redis_db: u16,
    /// Milliseconds that a Redis command may take
    #[arg(long, env = "REDIS_TIMEOUT_MS", default_value_t = 5000, value_parser = clap::value_parser!(u64).range(1..=3_600_000))]
    redis_timeout_ms: u64,
}

/// URLs hold passwords, so only which settings are given is printed.
impl fmt::Debug for RedisServers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisServers").finish_non_exhaustive()
    }
}

impl RedisServers {
    /// A link to the server of a role.
    pub fn link(&self, role: Role) -> Result<Link, InvalidServer> {
        Link::open(
            &self.url(role),
            Duration::from_millis(self.redis_timeout_ms),
        )
    }

    /// The URL of the server of a role. It may hold a password: never log it.
    pub fn url(&self, role: Role) -> String {
        let own = match role {
            Role::Streams => &self.redis_streams_url,
            Role::Feedback => &self.redis_feedback_url,
            Role::Views => &self.redis_views_url,
        };
        own.as_ref()
            .or(self.redis_url.as_ref())
            .cloned()
            .unwrap_or_else(|| self.url_of_parts())
    }

    fn url_of_parts(&self) -> String {
        let login = match (&self.redis_username, &self.redis_password) {
            (None, None) => String::new(),
            (user, password) => format!(
                "{}:{}@",
                percent_encoded(user.as_deref().unwrap_or_default()),
                percent_encoded(password.as_deref().unwrap_or_default())
            ),
        };
        format!(
            "redis://{login}{}:{}/{}",
            self.redis_host, self.redis_port, self.redis_db
        )
    }
}

/// The URL, if it names a Redis server.
fn checked_url(url: &str) -> Result<String, InvalidServer> {
    match url.into_connection_info() {
        Ok(_) => Ok(url.to_owned()),
        Err(error) => Err(InvalidServer::of_url(&error)),
    }
}

/// The host, if it can stand in a URL: an IPv6 address in brackets.
fn checked_host(host: &str) -> Result<String, &'static str> {
    let checked = checked_url(&format!("redis://{host}")).map(|_| host.to_owned());
    checked.map_err(|_| "allowed are names, IPv4 addresses, and IPv6 addresses in brackets")
}

/// A text as it may stand in the user part of a URL (RFC 3986, unreserved characters kept).
fn percent_encoded(text: &str) -> String {
    let encoded = |byte: u8| {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            char::from(byte).to_string()
        } else {
            format!("%{byte:02X}")
        }
    };
    text.bytes().map(encoded).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn servers() -> RedisServers {
        RedisServers {
            redis_url: None,
            redis_streams_url: None,
            redis_feedback_url: None,
            redis_views_url: None,
            redis_host: "cache".to_owned(),
            redis_port: 6380,
            redis_username: None,
            redis_password: None,
            redis_db: 2,
            redis_timeout_ms: 1000,
        }
    }

    #[test]
    fn a_role_prefers_its_own_url_then_the_common_one_then_the_parts() {
        let parts = servers();
        assert_eq!(parts.url(Role::Streams), "redis://cache:6380/2");
        let common = RedisServers {
            redis_url: Some("redis://all".to_owned()),
            ..parts
        };
        assert_eq!(common.url(Role::Views), "redis://all");
        let own = RedisServers {
            redis_views_url: Some("rediss://views".to_owned()),
            ..common
        };
        assert_eq!(own.url(Role::Views), "rediss://views");
        assert_eq!(own.url(Role::Streams), "redis://all");
    }

    #[test]
    fn a_password_with_reserved_characters_survives_the_url() {
        let password = Some("p@ss:w/rd%".to_owned());
        let servers = RedisServers {
            redis_password: password,
            ..servers()
        };
        assert_eq!(
            servers.url(Role::Streams),
            "redis://:p%40ss%3Aw%2Frd%25@cache:6380/2"
        );
        assert!(!format!("{servers:?}").contains("p@ss"));
    }

    #[test]
    fn an_invalid_url_says_what_is_allowed() {
        let error = Link::open("http://x", Duration::from_secs(1)).expect_err("no redis url");
        assert!(error.to_string().contains("rediss://"), "{error}");
    }
}
