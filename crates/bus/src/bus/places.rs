//! Where topics live, and moving them.

use std::sync::Arc;
use std::time::Duration;

use common::Clock;
use common::topics::TopicInfo;
use redis_link::{InvalidServer, Link};

use super::Bus;
use crate::error::BusError;
use crate::memory::MemoryServer;
use crate::migration::Migration;
use crate::moves::Move;
use crate::overview::TopicOverview;
use crate::place::Place;
use crate::redis::RedisServer;
use crate::routed::Routed;

impl Bus {
    /// A bus on the Redis server of a URL and on one within this process, which stands where Kafka
    /// stands elsewhere. `place` says where a topic lives as long as nobody moved it.
    pub fn on_redis_and_memory(
        (url, command_timeout): (&str, Duration),
        clock: Arc<dyn Clock>,
        place: impl Fn(&str) -> Place + Send + Sync + 'static,
    ) -> Result<Self, InvalidServer> {
        let redis = RedisServer::new(Link::open(url, command_timeout)?);
        let memory = Arc::new(MemoryServer::new(clock));
        Ok(Self::new(Routed::new(redis, Some(memory), Arc::new(place))))
    }

    /// Where a topic lives, or is on its way to; `None` for a bus on one server that is no choice.
    pub async fn place(&self, topic: &TopicInfo) -> Result<Option<Place>, BusError> {
        self.server.place_of(topic.name).await
    }

    /// What a topic looks like on Redis, wherever it lives.
    pub async fn overview_on_redis(&self, topic: &TopicInfo) -> Result<TopicOverview, BusError> {
        self.server.overview_on_redis(topic).await
    }

    /// How far the move of a topic from Redis to Kafka has come; `None` if nobody began one.
    pub async fn move_of(&self, topic: &TopicInfo) -> Result<Option<Move>, BusError> {
        self.server.move_of(topic.name).await
    }

    /// What moves topics from Redis to Kafka; `None` for a bus without Kafka.
    pub fn migration(&self) -> Option<Migration> {
        self.server.migration()
    }
}
