//! Whether a server keeps what it is given.

use common::Unavailable;

use crate::error::LinkError;
use crate::info::{info, value};
use crate::link::Link;

/// How a server treats data when memory is full and when it stops.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Durability {
    /// The server's version.
    pub version: String,
    /// What is thrown away when memory is full; only `noeviction` throws nothing away.
    pub maxmemory_policy: String,
    /// Whether every write goes to an append-only file.
    pub append_only: bool,
}

impl Durability {
    /// Asks the server.
    pub async fn of(link: &Link) -> Result<Self, LinkError> {
        let text = info(link, &["server", "memory", "persistence"]).await?;
        if text.contains("\nloading:1") {
            let detail = "it is still loading its data set";
            return Err(Unavailable::new("redis", detail).into());
        }
        Ok(Self::parse(&text))
    }

    fn parse(info: &str) -> Self {
        Self {
            version: value(info, "redis_version").to_owned(),
            maxmemory_policy: value(info, "maxmemory_policy").to_owned(),
            append_only: value(info, "aof_enabled") == "1",
        }
    }

    /// Why data can disappear when memory is full, and what to set. `None` when it cannot.
    pub fn eviction_problem(&self) -> Option<String> {
        (self.maxmemory_policy != "noeviction").then(|| {
            format!(
                "redis may evict unprocessed work: maxmemory-policy is {}; set \
                 'maxmemory-policy noeviction' in redis.conf or run \
                 'redis-cli CONFIG SET maxmemory-policy noeviction'",
                self.maxmemory_policy
            )
        })
    }

    /// Why data can disappear when the server stops, and what to set. `None` when it cannot.
    pub fn persistence_problem(&self) -> Option<String> {
        (!self.append_only).then(|| {
            "redis loses accepted work when it stops: set 'appendonly yes' and \
             'appendfsync always' in redis.conf or run 'redis-cli CONFIG SET appendonly yes'"
                .to_owned()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_that_evicts_or_forgets_is_told_what_to_set() {
        let info = "redis_version:7.0.15\r\nmaxmemory_policy:allkeys-lru\r\naof_enabled:0\r\n";
        let risky = Durability::parse(info);
        assert!(
            risky
                .eviction_problem()
                .is_some_and(|text| text.contains("noeviction"))
        );
        assert!(
            risky
                .persistence_problem()
                .is_some_and(|text| text.contains("appendonly yes"))
        );
        let safe = Durability::parse("maxmemory_policy:noeviction\r\naof_enabled:1\r\n");
        assert_eq!(
            (safe.eviction_problem(), safe.persistence_problem()),
            (None, None)
        );
    }
}
