//! The bus on Kafka. The only place that names its client.
//!
//! A group is a consumer group of Kafka, and all that it knows of a partition lies in the metadata of
//! the offset that it commits there (`book.rs`). A member (`member.rs`) owns partitions and settles
//! what is in them, in a commit or, with what it publishes, in a transaction. What failed waits in a
//! topic of its own, `<topic>.<group>.retry`, which has the same partitions and the same owners.

mod book;
mod claims;
mod client;
mod groups;
mod ledger;
mod letters;
mod looker;
mod member;
mod operating;
mod overview;
mod pending;
mod place;
mod publish;
mod range;
mod record;
mod risks;
mod settings;
mod topics;
mod trim;

use std::sync::Arc;

use async_trait::async_trait;
use common::RawFields;
use common::topics::TopicInfo;
use redis_link::Link;
use tokio_util::sync::CancellationToken;

use self::client::{Core, blocking};
use self::record::Record;
pub use self::settings::{InvalidKafka, KafkaServers};
use crate::consumer::Subscription;
use crate::delivery::StoredMessage;
use crate::error::BusError;
use crate::late_letter::LateLetter;
use crate::message_id::MessageId;
use crate::once::{ClaimWindow, Once};
use crate::options::SubscribeOptions;
use crate::overview::TopicOverview;
use crate::server::{Encoded, Opened, Risk, Server};

/// Topics on Kafka, claims on Redis.
#[derive(Debug)]
pub(crate) struct KafkaServer {
    core: Arc<Core>,
}

impl KafkaServer {
    /// Connects when first used.
    pub(crate) fn open(settings: &KafkaServers, claims: Link) -> Result<Self, InvalidKafka> {
        settings.validate()?;
        let core = Arc::new(Core::new(settings.clone(), claims));
        Ok(Self { core })
    }
}

fn records(topic: &str, all: &dyn Encoded) -> Vec<Record> {
    let record = |number| {
        let mut fields = RawFields::default();
        all.encode(number, &mut fields);
        Record::of(topic, &fields)
    };
    (0..all.len()).map(record).collect()
}

#[async_trait]
impl Server for KafkaServer {
    async fn publish(&self, topic: &str, all: &dyn Encoded) -> Result<Vec<MessageId>, BusError> {
        let ids = publish::publish(&self.core, topic, &records(topic, all)).await?;
        ids.into_iter().collect()
    }

    async fn publish_once(
        &self,
        topic: &str,
        messages: &dyn Encoded,
        claims: &[Once],
    ) -> Result<Vec<Option<MessageId>>, BusError> {
        claims::publish_once(&self.core, topic, &records(topic, messages), claims).await
    }

    async fn publish_new(
        &self,
        topic: &str,
        messages: &dyn Encoded,
        claims: (&[String], ClaimWindow),
    ) -> Result<Vec<Option<MessageId>>, BusError> {
        claims::publish_new(&self.core, topic, &records(topic, messages), claims).await
    }

    async fn give_up_late(
        &self,
        topic: &TopicInfo,
        letters: &[LateLetter],
    ) -> Result<u64, BusError> {
        topics::ensure(&self.core, &topic.dead_letters()).await?;
        let (topic, letters) = (*topic, letters.to_vec());
        let write = move |core: &Core| letters::give_up(core, &topic, &letters);
        blocking(&self.core, write).await
    }

    async fn open_group(&self, topic: &str, group: &str) -> Result<Opened, BusError> {
        groups::open(&self.core, topic, group).await
    }

    fn subscribe(
        self: Arc<Self>,
        topic: TopicInfo,
        group: &'static str,
        options: SubscribeOptions,
        stop: CancellationToken,
    ) -> Subscription {
        member::subscribe(&self.core, topic, group, (options, stop))
    }

    async fn trim(&self, topic: &TopicInfo) -> Result<u64, BusError> {
        trim::trim(&self.core, topic).await
    }

    async fn overview(&self, topic: &TopicInfo) -> Result<TopicOverview, BusError> {
        let topic = *topic;
        blocking(&self.core, move |core| overview::overview(core, &topic)).await
    }

    async fn range(
        &self,
        stream: &str,
        from: MessageId,
        count: usize,
    ) -> Result<Vec<StoredMessage>, BusError> {
        let stream = stream.to_owned();
        let read = move |core: &Core| {
            if letters::are_in(&stream) {
                letters::forwards(core, &stream, from, count)
            } else {
                range::forwards(core, &stream, from, count)
            }
        };
        blocking(&self.core, read).await
    }

    async fn check(&self) -> Result<Vec<Risk>, BusError> {
        risks::find(&self.core).await
    }
}
