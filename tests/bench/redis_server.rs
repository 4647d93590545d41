//! The Redis of a bench.

use anyhow::Result;
use redis::aio::MultiplexedConnection;
use testkit::servers::{RedisServer, redis_cli};

/// How a server keeps what it is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Persistence {
    /// Not at all.
    None,
    /// An append-only file, written out every second.
    Aof,
}

impl Persistence {
    pub(crate) const ALL: [Self; 2] = [Self::None, Self::Aof];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Aof => "aof",
        }
    }
}

/// A server of the bench's own.
#[derive(Debug)]
pub(crate) struct Redis(RedisServer);

impl Redis {
    pub(crate) fn start(persistence: Persistence) -> Result<Self> {
        let options: &[&str] = match persistence {
            Persistence::None => &["--appendonly", "no"],
            Persistence::Aof => &["--appendfsync", "everysec"],
        };
        RedisServer::start_with(options).map(Self)
    }

    /// For what starts a whole Millrace on it.
    pub(crate) fn into_server(self) -> RedisServer {
        self.0
    }

    pub(crate) fn url(&self) -> &str {
        self.0.url()
    }

    pub(crate) fn pid(&self) -> Result<u32> {
        self.0.pid()
    }

    /// Removes everything, the append-only file's history too.
    pub(crate) fn empty(&self) -> Result<()> {
        redis_cli(self.url(), &["FLUSHALL", "SYNC"]).map(drop)
    }

    pub(crate) async fn connection(&self) -> Result<MultiplexedConnection> {
        let client = redis::Client::open(self.url())?;
        let config = redis::AsyncConnectionConfig::new().set_response_timeout(None);
        Ok(client
            .get_multiplexed_async_connection_with_config(&config)
            .await?)
    }
}
