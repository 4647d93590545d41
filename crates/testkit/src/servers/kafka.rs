//! Kafka for tests: a server of one's own, or the shared one and a name of one's own on it.

use std::hash::{BuildHasher as _, RandomState};
use std::net::TcpStream;
use std::ops::Deref;

use anyhow::{Context as _, Result, ensure};

use super::local_server::{LocalServer, run_script};
use super::shared::{Shared, SharedServer};
use super::{environment, or_skip};

const SCRIPT: &str = "kafka.sh";

/// A Kafka of one node that a test may stop, kill and pause; its URL is `127.0.0.1:<port>`.
///
/// What it acknowledged survives the death of its process, not that of the machine: as every Kafka,
/// it leaves the writing to the kernel. After a kill, it is back within some three seconds.
#[derive(Debug)]
pub struct KafkaServer(LocalServer);

impl KafkaServer {
    /// Started as `deploy/kafka.properties` says.
    pub fn start() -> Result<Self> {
        Self::start_with(&[])
    }

    /// With more options for `kafka.Kafka`: `["--override", "message.max.bytes=1000"]`.
    pub fn start_with(options: &[&str]) -> Result<Self> {
        LocalServer::start(SCRIPT, options).map(Self)
    }
}

impl Deref for KafkaServer {
    type Target = LocalServer;

    fn deref(&self) -> &LocalServer {
        &self.0
    }
}

/// The brokers of the shared Kafka, or `None` after a loud skip; panics where `CI=true`.
pub fn kafka_brokers() -> Option<&'static str> {
    or_skip("Kafka", shared_kafka())
}

/// The Kafka that tests of this process share, as `host:port,…`: `KAFKA_BROKERS`, else one started
/// at the first call. Topics and groups of a test have [`kafka_prefix`] before their names.
pub fn shared_kafka() -> Result<&'static str> {
    static SHARED: SharedServer = SharedServer::new();
    SHARED.url(find)
}

/// Begins the names of topics, groups and transactions that nobody else uses: `test-…-`.
pub fn kafka_prefix() -> String {
    format!("test-{:016x}-", RandomState::new().hash_one(()))
}

/// Runs the broker's own tool for topics and returns what it printed: `["--list"]`.
pub fn kafka_topics(brokers: &str, options: &[&str]) -> Result<String> {
    let arguments: Vec<&str> = ["topics", brokers]
        .into_iter()
        .chain(options.iter().copied())
        .collect();
    run_script(SCRIPT, &arguments).with_context(|| format!("asking Kafka for {options:?}"))
}

fn find() -> Result<Shared> {
    if let Some(brokers) =
        environment("TEST_KAFKA_BROKERS").or_else(|| environment("KAFKA_BROKERS"))
    {
        let reached = brokers
            .split(',')
            .any(|broker| TcpStream::connect(broker.trim()).is_ok());
        ensure!(
            reached,
            "KAFKA_BROKERS is set, and none of its servers can be reached"
        );
        return Ok(Shared::Named(brokers));
    }
    LocalServer::start(SCRIPT, &[]).map(Shared::Own)
}
