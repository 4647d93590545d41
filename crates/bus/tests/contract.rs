//! The contract of the bus. Every case runs on every back-end.

#[path = "support/notes.rs"]
mod notes;
#[path = "support/readers.rs"]
mod readers;

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use anyhow::Result;
use bus::{Bus, KafkaServers, Place};
use common::{Clock, UnixMillis};
use redis_link::Link;
use testkit::servers::{RedisDatabase, kafka_brokers, kafka_prefix, redis_database};

/// Makes tests of the cases of a module, one on each back-end.
macro_rules! on_every_back_end {
    ($($case:ident,)*) => {
        mod memory {
            $(#[tokio::test]
            async fn $case() -> anyhow::Result<()> {
                super::$case(crate::Bench::in_memory()).await
            })*
        }

        mod redis {
            $(#[tokio::test]
            async fn $case() -> anyhow::Result<()> {
                let Some(bench) = crate::Bench::on_redis()? else { return Ok(()) };
                super::$case(bench).await
            })*
        }

        /// On two servers: what a message causes goes to the other one.
        mod across {
            $(#[tokio::test]
            async fn $case() -> anyhow::Result<()> {
                let Some(bench) = crate::Bench::across(bus::Place::Redis)? else { return Ok(()) };
                super::$case(bench).await
            })*
        }

        /// The same with both servers exchanged.
        mod back {
            $(#[tokio::test]
            async fn $case() -> anyhow::Result<()> {
                let Some(bench) = crate::Bench::across(bus::Place::Kafka)? else { return Ok(()) };
                super::$case(bench).await
            })*
        }

        mod kafka {
            $(#[tokio::test]
            async fn $case() -> anyhow::Result<()> {
                let Some(bench) = crate::Bench::on_kafka()? else { return Ok(()) };
                super::$case(bench).await
            })*
        }
    };
}

#[path = "contract/across.rs"]
mod across;
#[path = "contract/dead_letters.rs"]
mod dead_letters;
#[path = "contract/first_ids.rs"]
mod first_ids;
#[path = "contract/late_letters.rs"]
mod late_letters;
#[path = "contract/leases.rs"]
mod leases;
#[path = "contract/once.rs"]
mod once;
#[path = "contract/operating.rs"]
mod operating;
#[path = "contract/outputs.rs"]
mod outputs;
#[path = "contract/overview.rs"]
mod overview;
#[path = "contract/publish_new.rs"]
mod publish_new;
#[path = "contract/publishing.rs"]
mod publishing;
#[path = "contract/redriving.rs"]
mod redriving;
#[path = "contract/retrying.rs"]
mod retrying;
#[path = "contract/settling.rs"]
mod settling;
#[path = "contract/stopping.rs"]
mod stopping;
#[path = "contract/trimming.rs"]
mod trimming;

const COMMAND_TIMEOUT: Duration = Duration::from_secs(5);

/// An empty bus.
struct Bench {
    bus: Bus,
    /// What Kafka is told, where it is the back-end.
    kafka: Option<KafkaServers>,
    /// Emptied when dropped.
    database: Option<RedisDatabase>,
}

impl Bench {
    fn in_memory() -> Self {
        Self {
            bus: Bus::in_memory(Arc::new(RealClock)),
            kafka: None,
            database: None,
        }
    }

    fn on_redis() -> Result<Option<Self>> {
        let Some(database) = redis_database() else {
            return Ok(None);
        };
        Ok(Some(Self {
            bus: Bus::on_redis(database.url(), COMMAND_TIMEOUT)?,
            kafka: None,
            database: Some(database),
        }))
    }

    /// On Redis and in memory, which stands for Kafka: messages `there`, what they cause elsewhere.
    fn across(there: Place) -> Result<Option<Self>> {
        let Some(database) = redis_database() else {
            return Ok(None);
        };
        let place = move |stream: &str| match there {
            Place::Redis if is_output(stream) => Place::Kafka,
            Place::Kafka if is_output(stream) => Place::Redis,
            there => there,
        };
        let redis = (database.url(), COMMAND_TIMEOUT);
        Ok(Some(Self {
            bus: Bus::on_redis_and_memory(redis, Arc::new(RealClock), place)?,
            kafka: None,
            database: Some(database),
        }))
    }

    /// On Kafka messages are in order within a partition only: a topic has one here.
    fn on_kafka() -> Result<Option<Self>> {
        let (Some(brokers), Some(database)) = (kafka_brokers(), redis_database()) else {
            return Ok(None);
        };
        let mut kafka = KafkaServers::at(brokers);
        kafka.kafka_topic_prefix = kafka_prefix();
        kafka.kafka_partitions = 1;
        kafka.kafka_session_timeout_ms = Some(3_000);
        let claims = Link::open(database.url(), COMMAND_TIMEOUT)?;
        Ok(Some(Self {
            bus: Bus::on_kafka(&kafka, claims)?,
            kafka: Some(kafka),
            database: Some(database),
        }))
    }

    /// The same bus, on which members of a group can share a topic.
    fn shared(mut self) -> Result<Self> {
        if let (Some(kafka), Some(database)) = (&mut self.kafka, &self.database) {
            kafka.kafka_partitions = 8;
            let claims = Link::open(database.url(), COMMAND_TIMEOUT)?;
            self.bus = Bus::on_kafka(kafka, claims)?;
        }
        Ok(self)
    }
}

/// Whether a stream of the tests holds what messages cause, not the messages.
fn is_output(stream: &str) -> bool {
    ["test.results", "test.others"].contains(&stream)
}

/// The contract is about waiting, and Redis waits by its own clock: both back-ends get real time.
#[derive(Debug)]
pub(crate) struct RealClock;

impl Clock for RealClock {
    #[expect(
        clippy::disallowed_methods,
        reason = "this is the clock that others take"
    )]
    fn now(&self) -> UnixMillis {
        let elapsed = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        let millis = elapsed.map_or(0, |elapsed| elapsed.as_millis());
        UnixMillis(i64::try_from(millis).unwrap_or(i64::MAX))
    }
}
