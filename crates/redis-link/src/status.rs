//! How a server is, for the people who run it.

use std::time::Duration;

use crate::error::LinkError;
use crate::info::{info, value};
use crate::link::Link;

/// How a server is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerStatus {
    /// Its version.
    pub version: String,
    /// Bytes that its data take up.
    pub used_memory: u64,
    /// Bytes that its data may take up; `None` when no limit is set.
    pub memory_max: Option<u64>,
    /// Bytes that its machine has.
    pub memory_system: u64,
    /// Connections of clients.
    pub connected_clients: u64,
    /// Since its start.
    pub uptime: Duration,
}

impl ServerStatus {
    /// Asks the server.
    pub async fn of(link: &Link) -> Result<Self, LinkError> {
        let text = info(link, &["server", "memory", "clients"]).await?;
        Ok(Self::parse(&text))
    }

    fn parse(info: &str) -> Self {
        let number = |name: &str| value(info, name).parse::<u64>().unwrap_or_default();
        Self {
            version: value(info, "redis_version").to_owned(),
            used_memory: number("used_memory"),
            memory_max: Some(number("maxmemory")).filter(|limit| *limit > 0),
            memory_system: number("total_system_memory"),
            connected_clients: number("connected_clients"),
            uptime: Duration::from_secs(number("uptime_in_seconds")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_of_zero_is_no_limit_and_names_are_not_taken_for_longer_ones() {
        let info = "redis_version:7.0.15\r\nuptime_in_seconds:90\r\nused_memory_human:1M\r\n\
            used_memory:1048576\r\ntotal_system_memory:4096\r\nmaxmemory:0\r\nconnected_clients:3\r\n";
        let status = ServerStatus {
            version: "7.0.15".to_owned(),
            used_memory: 1_048_576,
            memory_max: None,
            memory_system: 4096,
            connected_clients: 3,
            uptime: Duration::from_secs(90),
        };
        assert_eq!(ServerStatus::parse(info), status);
        let limited = ServerStatus::parse("maxmemory:2048\r\n");
        assert_eq!(limited.memory_max, Some(2048));
    }
}
