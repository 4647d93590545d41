//! A Kafka, and the proxy by which workers find it.

use anyhow::Result;
use testkit::servers::{FaultProxy, KafkaServer};

/// Clients go to the address that a broker says it has, so the broker says that it is its proxy.
#[derive(Debug)]
pub(crate) struct ProxiedKafka {
    pub(crate) proxy: FaultProxy,
    pub(crate) server: KafkaServer,
}

impl ProxiedKafka {
    pub(super) fn start() -> Result<Self> {
        let proxy = FaultProxy::start("127.0.0.1:1")?;
        let listener = format!("advertised.listeners=PLAINTEXT://{}", proxy.address());
        let server = KafkaServer::start_with(&["--override", &listener])?;
        proxy.point_at(&server.address());
        Ok(Self { proxy, server })
    }
}
