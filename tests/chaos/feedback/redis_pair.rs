//! A Redis with a replica, and a failover from one to the other.

use std::time::Duration;

use anyhow::Result;
use testkit::servers::{FaultProxy, ProxyMode, RedisServer, eventually, redis_cli};

/// How long a replica may take to have everything.
const IN_STEP: Duration = Duration::from_secs(30);

/// A primary, its replica, and the proxy by which workers find the primary.
#[derive(Debug)]
pub(crate) struct RedisPair {
    pub(crate) proxy: FaultProxy,
    pub(crate) primary: RedisServer,
    replica: RedisServer,
}

impl RedisPair {
    pub(super) fn start() -> Result<Self> {
        let (primary, replica) = (RedisServer::start()?, RedisServer::start()?);
        let pair = Self {
            proxy: FaultProxy::start(&primary.address())?,
            primary,
            replica,
        };
        pair.follow()?;
        Ok(pair)
    }

    /// The primary dies and its replica takes its place. Another one, empty, follows that.
    pub(super) fn fail_over(&mut self) -> Result<()> {
        self.proxy.set(ProxyMode::Refuse);
        self.primary.kill()?;
        self.proxy.reset();
        redis_cli(self.replica.url(), &["REPLICAOF", "NO", "ONE"])?;
        std::mem::swap(&mut self.primary, &mut self.replica);
        self.proxy.point_at(&self.primary.address());
        self.proxy.set(ProxyMode::Pass);
        self.replica.restart_empty()?;
        self.follow()
    }

    /// Has the replica follow the primary, and waits until it has everything.
    fn follow(&self) -> Result<()> {
        let port = self.primary.port().to_string();
        let follow = ["REPLICAOF", "127.0.0.1", port.as_str()];
        redis_cli(self.replica.url(), &follow)?;
        eventually("the replica to be in step", IN_STEP, || {
            let replication = redis_cli(self.replica.url(), &["INFO", "replication"]).ok()?;
            replication.contains("master_link_status:up").then_some(())
        })
    }
}
