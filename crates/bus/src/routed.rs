//! A bus on two servers: each topic lives on one of them.

mod first_ids;
mod knowledge;
mod operating;
mod settling;
mod subscribing;

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use common::Unavailable;
use common::topics::TopicInfo;
use tokio_util::sync::CancellationToken;

pub(crate) use self::first_ids::FirstIds;
use self::knowledge::Knowledge;
use crate::consumer::Subscription;
use crate::delivery::StoredMessage;
use crate::error::BusError;
use crate::late_letter::LateLetter;
use crate::message_id::MessageId;
use crate::migration::Migration;
use crate::moves::{Move, MoveState};
use crate::once::{ClaimWindow, Once};
use crate::options::SubscribeOptions;
use crate::overview::TopicOverview;
use crate::place::{Place, topic_of};
use crate::redis::RedisServer;
use crate::server::{Encoded, Opened, Risk, Server};

/// Where a topic lives as long as nobody moved it.
pub(crate) type Rule = Arc<dyn Fn(&str) -> Place + Send + Sync>;

/// Redis and Kafka, or Redis alone where there is no Kafka.
pub(crate) struct Routed {
    redis: Arc<RedisServer>,
    kafka: Option<Arc<dyn Server>>,
    rule: Rule,
    knowledge: Knowledge,
}

impl fmt::Debug for Routed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Routed").finish_non_exhaustive()
    }
}

impl Routed {
    pub(crate) fn new(redis: RedisServer, kafka: Option<Arc<dyn Server>>, rule: Rule) -> Self {
        Self {
            knowledge: Knowledge::new(redis.moves()),
            redis: Arc::new(redis),
            kafka,
            rule,
        }
    }

    /// The server on which a stream can be changed; unavailable while it is moved.
    async fn home(&self, stream: &str) -> Result<Arc<dyn Server>, BusError> {
        let topic = topic_of(stream);
        if self.state(topic).await? == Some(MoveState::Copying) {
            return Err(moving(topic));
        }
        self.view(stream).await
    }

    /// The server on which a stream can be looked at, also while it is moved.
    async fn view(&self, stream: &str) -> Result<Arc<dyn Server>, BusError> {
        Ok(self.at(self.place(topic_of(stream)).await?))
    }

    fn at(&self, place: Place) -> Arc<dyn Server> {
        match (&self.kafka, place) {
            (Some(kafka), Place::Kafka) => Arc::<dyn Server>::clone(kafka),
            _ => Arc::<RedisServer>::clone(&self.redis),
        }
    }

    /// Where a topic lives, or is on its way to.
    async fn place(&self, topic: &str) -> Result<Place, BusError> {
        if self.state(topic).await?.is_none() {
            return Ok((self.rule)(topic));
        }
        if self.kafka.is_none() {
            return Err(BusError::Moved(format!(
                "{topic} was moved to Kafka: set KAFKA_BROKERS to the brokers to which it went"
            )));
        }
        Ok(Place::Kafka)
    }

    /// How far the move of a topic has come. What lives on Kafka anyhow does not depend on Redis.
    async fn state(&self, topic: &str) -> Result<Option<MoveState>, BusError> {
        match self.knowledge.of(topic).await {
            Err(error) if error.is_unavailable() && (self.rule)(topic) == Place::Kafka => Ok(None),
            known => known,
        }
    }

    /// Redis refuses whoever does not know yet that a topic was put aside: he looks again.
    async fn explained<T>(&self, stream: &str, done: Result<T, BusError>) -> Result<T, BusError> {
        match done {
            Err(error) if is_put_aside(&error) => {
                let topic = topic_of(stream);
                self.knowledge.forget(topic);
                match self.state(topic).await? {
                    Some(_) => Err(moving(topic)),
                    None => Err(error),
                }
            }
            done => done,
        }
    }

    /// Says loudly that messages wait where nobody reads them.
    async fn warn_of_messages_left_behind(&self, topic: &str) -> Result<(), BusError> {
        let elsewhere = self.place(topic).await? == Place::Kafka;
        if elsewhere && self.redis.moves().is_stream(topic).await? {
            crate::metrics::left_behind(topic);
            tracing::error!(
                topic,
                "the topic lives on Kafka, and there are messages of it on Redis that nobody reads: \
                 run `millrace bus migrate {topic}`"
            );
        }
        Ok(())
    }
}

fn moving(topic: &str) -> BusError {
    Unavailable::new("the bus", format_args!("{topic} is moving to Kafka")).into()
}

/// Whether Redis found a text where a stream should be.
fn is_put_aside(error: &BusError) -> bool {
    matches!(error, BusError::Refused(refusal) if refusal.code() == Some("WRONGTYPE"))
}

#[async_trait]
impl Server for Routed {
    async fn publish(&self, topic: &str, all: &dyn Encoded) -> Result<Vec<MessageId>, BusError> {
        let published = self.home(topic).await?.publish(topic, all).await;
        self.explained(topic, published).await
    }

    async fn publish_once(
        &self,
        topic: &str,
        messages: &dyn Encoded,
        claims: &[Once],
    ) -> Result<Vec<Option<MessageId>>, BusError> {
        let server = self.home(topic).await?;
        let published = server.publish_once(topic, messages, claims).await;
        self.explained(topic, published).await
    }

    async fn publish_new(
        &self,
        topic: &str,
        messages: &dyn Encoded,
        claims: (&[String], ClaimWindow),
    ) -> Result<Vec<Option<MessageId>>, BusError> {
        let server = self.home(topic).await?;
        let published = server.publish_new(topic, messages, claims).await;
        self.explained(topic, published).await
    }

    async fn give_up_late(
        &self,
        topic: &TopicInfo,
        letters: &[LateLetter],
    ) -> Result<u64, BusError> {
        let server = self.home(topic.name).await?;
        let written = server.give_up_late(topic, letters).await;
        self.explained(topic.name, written).await
    }

    async fn open_group(&self, topic: &str, group: &str) -> Result<Opened, BusError> {
        let opened = self.home(topic).await?.open_group(topic, group).await;
        let opened = self.explained(topic, opened).await?;
        self.warn_of_messages_left_behind(topic).await?;
        Ok(opened)
    }

    fn subscribe(
        self: Arc<Self>,
        topic: TopicInfo,
        group: &'static str,
        options: SubscribeOptions,
        stop: CancellationToken,
    ) -> Subscription {
        subscribing::subscribe(self, (topic, group), options, stop)
    }

    async fn trim(&self, topic: &TopicInfo) -> Result<u64, BusError> {
        self.view(topic.name).await?.trim(topic).await
    }

    async fn overview(&self, topic: &TopicInfo) -> Result<TopicOverview, BusError> {
        self.view(topic.name).await?.overview(topic).await
    }

    async fn range(
        &self,
        stream: &str,
        from: MessageId,
        count: usize,
    ) -> Result<Vec<StoredMessage>, BusError> {
        self.view(stream).await?.range(stream, from, count).await
    }

    async fn check(&self) -> Result<Vec<Risk>, BusError> {
        let mut risks = self.redis.check().await?;
        if let Some(kafka) = &self.kafka {
            risks.extend(kafka.check().await?);
        }
        Ok(risks)
    }

    fn migration(&self) -> Option<Migration> {
        let kafka = Arc::<dyn Server>::clone(self.kafka.as_ref()?).receiving()?;
        Some(Migration::new(self.redis.moves(), kafka))
    }

    async fn place_of(&self, topic: &str) -> Result<Option<Place>, BusError> {
        self.knowledge.forget(topic);
        self.place(topic).await.map(Some)
    }

    async fn overview_on_redis(&self, topic: &TopicInfo) -> Result<TopicOverview, BusError> {
        self.redis.overview(topic).await
    }

    async fn move_of(&self, topic: &str) -> Result<Option<Move>, BusError> {
        self.redis.moves().of(topic).await
    }
}
