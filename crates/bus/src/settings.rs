//! How the bus is set up from the command line and the environment.

use std::sync::Arc;
use std::time::Duration;

use redis_link::{InvalidServer, RedisServers, Role};

use crate::backoff::RetryPolicy;
use crate::bus::Bus;
use crate::error::BusError;
use crate::kafka::{InvalidKafka, KafkaServer, KafkaServers};
use crate::options::SubscribeOptions;
use crate::place::Place;
use crate::redis::RedisServer;
use crate::routed::Routed;
use crate::server::{Risk, Server};

/// Settings of which no bus can be made.
#[derive(Debug, thiserror::Error)]
pub enum NotOpened {
    /// They do not name a Redis server.
    #[error(transparent)]
    Redis(#[from] InvalidServer),
    /// They do not go together as settings of Kafka.
    #[error(transparent)]
    Kafka(#[from] InvalidKafka),
}

/// The event bus.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Bus")]
pub struct BusSettings {
    /// Where topics live; those of feedback live on Kafka wherever `KAFKA_BROKERS` is set
    #[arg(
        long,
        env = "MILLRACE_BUS",
        value_enum,
        default_value = "redis",
        requires_if("kafka", "kafka_brokers")
    )]
    pub bus: Place,
    /// The Kafka brokers.
    #[command(flatten)]
    pub kafka: KafkaServers,
    /// The Redis servers.
    #[command(flatten)]
    pub redis: RedisServers,
    /// Start although the Redis server may evict unprocessed work when its memory is full
    #[arg(long, env = "ALLOW_EVICTION")]
    pub allow_eviction: bool,
    /// Messages that are processed together at most
    #[arg(long, env = "BATCH_MAX", default_value_t = 512, value_parser = clap::value_parser!(u16).range(1..=512))]
    pub batch_max: u16,
    /// Milliseconds after which a message that its consumer does not renew is taken over by others
    #[arg(long, env = "LEASE_MS", default_value_t = 30_000, value_parser = clap::value_parser!(u64).range(300..=3_600_000))]
    pub lease_ms: u64,
    /// Milliseconds before the first retry of a failed message; doubles with each
    #[arg(long, env = "RETRY_BASE_MS", default_value_t = 1_000, value_parser = clap::value_parser!(u64).range(10..=3_600_000))]
    pub retry_base_ms: u64,
    /// Milliseconds before a retry at most
    #[arg(long, env = "RETRY_CAP_MS", default_value_t = 300_000, value_parser = clap::value_parser!(u64).range(10..=86_400_000))]
    pub retry_cap_ms: u64,
    /// Deliveries after which a failing message becomes a dead letter
    #[arg(long, env = "MAX_DELIVERIES", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=100))]
    pub max_deliveries: u32,
    /// Unfinished messages of a stream at which the senders are asked to wait
    #[arg(long, env = "BACKLOG_MAX", default_value_t = 1_000_000, value_parser = clap::value_parser!(u64).range(1..))]
    pub backlog_max: u64,
}

impl BusSettings {
    /// The bus of these settings. Connects when first used.
    pub fn open(&self) -> Result<Bus, NotOpened> {
        let redis = RedisServer::new(self.redis.link(Role::Streams)?);
        let kafka = match self.kafka.kafka_brokers {
            Some(_) => Some(self.open_kafka()?),
            None => None,
        };
        let (bus, has_kafka) = (self.bus, kafka.is_some());
        let rule = Arc::new(move |stream: &str| Place::of(stream, bus, has_kafka));
        Ok(Bus::new(Routed::new(redis, kafka, rule)))
    }

    fn open_kafka(&self) -> Result<Arc<dyn Server>, NotOpened> {
        let claims = self.redis.link(Role::Streams)?;
        Ok(Arc::new(KafkaServer::open(&self.kafka, claims)?))
    }

    /// How subscribers of this process behave.
    pub fn subscribe_options(&self) -> SubscribeOptions {
        SubscribeOptions {
            batch_max: usize::from(self.batch_max),
            lease: Duration::from_millis(self.lease_ms),
            retry: RetryPolicy {
                base: Duration::from_millis(self.retry_base_ms),
                cap: Duration::from_millis(self.retry_cap_ms),
                deliveries_max: self.max_deliveries,
            },
            ..SubscribeOptions::default()
        }
    }

    /// Refuses a server that may evict work, unless told otherwise; warns of one that forgets.
    pub async fn check(&self, bus: &Bus) -> Result<(), BusError> {
        for risk in bus.check().await? {
            match risk {
                Risk::Eviction(problem) if !self.allow_eviction => {
                    return Err(BusError::Unsafe(problem));
                }
                Risk::Eviction(problem) | Risk::Forgetting(problem) => tracing::warn!("{problem}"),
            }
        }
        Ok(())
    }
}
