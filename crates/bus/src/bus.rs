//! The handle that everybody uses.

mod operating;
mod places;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use common::topics::TopicInfo;
use common::{Clock, FieldSink, Message, RawFields, Topic};
use redis_link::{InvalidServer, Link};
use tokio_util::sync::CancellationToken;

use crate::consumer::Subscription;
use crate::delivery::StoredMessage;
use crate::error::BusError;
use crate::kafka::{InvalidKafka, KafkaServer, KafkaServers};
use crate::memory::MemoryServer;
use crate::message_id::MessageId;
use crate::metrics;
use crate::once::{ClaimWindow, Once};
use crate::options::SubscribeOptions;
use crate::overview::TopicOverview;
use crate::redis::RedisServer;
use crate::server::{Encoded, Opened, Risk, Server};

/// The most messages in one call to a server; longer lists are split.
const PUBLISH_CHUNK: usize = 500;

/// A bus. Clones are the same bus.
#[derive(Clone)]
pub struct Bus {
    server: Arc<dyn Server>,
}

impl fmt::Debug for Bus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bus").finish_non_exhaustive()
    }
}

impl Bus {
    pub(crate) fn new(server: impl Server + 'static) -> Self {
        Self {
            server: Arc::new(server),
        }
    }

    /// A bus on the Redis server of a URL. Connects when first used.
    pub fn on_redis(url: &str, command_timeout: Duration) -> Result<Self, InvalidServer> {
        Ok(Self::new(RedisServer::new(Link::open(
            url,
            command_timeout,
        )?)))
    }

    /// A bus on Kafka, which remembers claims on a Redis server. Connects when first used.
    pub fn on_kafka(kafka: &KafkaServers, claims: Link) -> Result<Self, InvalidKafka> {
        Ok(Self::new(KafkaServer::open(kafka, claims)?))
    }

    /// A bus within this process, which forgets everything when it is dropped.
    pub fn in_memory(clock: Arc<dyn Clock>) -> Self {
        Self::new(MemoryServer::new(clock))
    }

    /// Appends messages to their topic and gives their ids in order. When it fails, some may have
    /// been appended: repeat it only where repeats do no harm, else use [`Bus::publish_once`].
    pub async fn publish<T: Topic>(
        &self,
        messages: &[T::Message],
    ) -> Result<Vec<MessageId>, BusError> {
        let mut ids = Vec::with_capacity(messages.len());
        for chunk in messages.chunks(PUBLISH_CHUNK) {
            ids.extend(self.server.publish(T::INFO.name, &Messages(chunk)).await?);
        }
        metrics::published(T::INFO.name, ids.len());
        Ok(ids)
    }

    /// Appends each message whose claim succeeds; claiming and appending are one atomic step.
    /// `None` for a message whose claim was taken. Repeating the call after a failure is harmless.
    pub async fn publish_once<T: Topic>(
        &self,
        messages: &[T::Message],
        claims: &[Once],
    ) -> Result<Vec<Option<MessageId>>, BusError> {
        let mut ids = Vec::with_capacity(messages.len());
        for (chunk, claims) in messages
            .chunks(PUBLISH_CHUNK)
            .zip(claims.chunks(PUBLISH_CHUNK))
        {
            ids.extend(
                self.server
                    .publish_once(T::INFO.name, &Messages(chunk), claims)
                    .await?,
            );
        }
        metrics::published(T::INFO.name, ids.iter().flatten().count());
        Ok(ids)
    }

    /// Appends each message whose name nobody has claimed, and claims it; `None` for a message whose
    /// name was claimed. What is claimed is appended, and repeating the call after a failure is
    /// harmless.
    ///
    /// It costs the server much less than [`Bus::publish_once`], and is for topics whose readers claim
    /// what they pass on, under the same name: of two calls at the same moment both may append, and
    /// only one is told so.
    pub async fn publish_new<T: Topic>(
        &self,
        messages: &[T::Message],
        names: &[String],
        window: ClaimWindow,
    ) -> Result<Vec<Option<MessageId>>, BusError> {
        let mut ids = Vec::with_capacity(messages.len());
        for (chunk, names) in messages
            .chunks(PUBLISH_CHUNK)
            .zip(names.chunks(PUBLISH_CHUNK))
        {
            let messages = Messages(chunk);
            let claims = (names, window);
            ids.extend(
                self.server
                    .publish_new(T::INFO.name, &messages, claims)
                    .await?,
            );
        }
        metrics::published(T::INFO.name, ids.iter().flatten().count());
        Ok(ids)
    }

    /// [`Bus::publish_once`] for messages that were encoded earlier, such as those of an outbox.
    pub async fn publish_fields_once(
        &self,
        topic: &TopicInfo,
        messages: &[RawFields],
        claims: &[Once],
    ) -> Result<Vec<Option<MessageId>>, BusError> {
        let ids = publish_fields_once(&*self.server, topic.name, messages, claims).await?;
        metrics::published(topic.name, ids.iter().flatten().count());
        Ok(ids)
    }

    /// Creates the groups of topics that are missing, so that nothing is trimmed before it is read.
    pub async fn open_groups(&self, topics: &[TopicInfo]) -> Result<(), BusError> {
        for topic in topics {
            for group in topic.groups {
                if self.server.open_group(topic.name, group).await? == Opened::Recreated {
                    let topic = topic.name;
                    tracing::error!(topic, group, "the server had lost the group; created again");
                }
            }
        }
        Ok(())
    }

    /// Reads a topic as a member of a consumer group until `stop` is cancelled.
    pub fn subscribe(
        &self,
        topic: TopicInfo,
        group: &'static str,
        options: SubscribeOptions,
        stop: CancellationToken,
    ) -> Subscription {
        Arc::clone(&self.server).subscribe(topic, group, options, stop)
    }

    /// Removes finished messages beyond the topic's retention; gives how many.
    pub async fn trim(&self, topic: &TopicInfo) -> Result<u64, BusError> {
        self.server.trim(topic).await
    }

    /// What a topic and its groups look like now.
    pub async fn overview(&self, topic: &TopicInfo) -> Result<TopicOverview, BusError> {
        self.server.overview(topic).await
    }

    /// Messages of a stream (a topic or its dead letters) in order, from an id on.
    pub async fn range(
        &self,
        stream: &str,
        from: MessageId,
        count: usize,
    ) -> Result<Vec<StoredMessage>, BusError> {
        self.server.range(stream, from, count).await
    }

    /// Whether the server answers, and what its settings put at risk.
    pub async fn check(&self) -> Result<Vec<Risk>, BusError> {
        self.server.check().await
    }
}

/// [`Bus::publish_fields_once`] on a server.
pub(crate) async fn publish_fields_once(
    server: &dyn Server,
    topic: &str,
    messages: &[RawFields],
    claims: &[Once],
) -> Result<Vec<Option<MessageId>>, BusError> {
    let mut ids = Vec::with_capacity(messages.len());
    let chunks = messages.chunks(PUBLISH_CHUNK);
    for (chunk, claims) in chunks.zip(claims.chunks(PUBLISH_CHUNK)) {
        let messages = EncodedFields(chunk);
        ids.extend(server.publish_once(topic, &messages, claims).await?);
    }
    Ok(ids)
}

struct Messages<'a, M>(&'a [M]);

impl<M: Message> Encoded for Messages<'_, M> {
    fn len(&self) -> usize {
        self.0.len()
    }

    fn encode(&self, number: usize, sink: &mut dyn FieldSink) {
        if let Some(message) = self.0.get(number) {
            message.encode(sink);
        }
    }
}

struct EncodedFields<'a>(&'a [RawFields]);

impl Encoded for EncodedFields<'_> {
    fn len(&self) -> usize {
        self.0.len()
    }

    fn encode(&self, number: usize, sink: &mut dyn FieldSink) {
        let fields = self.0.get(number).map_or(&[][..], |fields| &fields.0);
        for (name, value) in fields {
            sink.field(
                &String::from_utf8_lossy(name),
                &String::from_utf8_lossy(value),
            );
        }
    }
}
