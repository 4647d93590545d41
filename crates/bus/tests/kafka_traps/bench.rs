//! A bus on Kafka, and what a test does to it behind its back.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context as _, Result};
use bus::{Bus, KafkaServers, MessageId, Output, Settlement};
use common::topics::TopicInfo;
use common::{RawFields, Topic};
use rdkafka::ClientConfig;
use rdkafka::producer::{FutureProducer, FutureRecord};
use redis_link::Link;
use testkit::servers::{
    KafkaServer, RedisDatabase, kafka_brokers, kafka_prefix, or_skip, redis_database,
};

use crate::notes::{Note, Notes};
use crate::readers::{Held, done, number_of};

pub(crate) const COMMAND_TIMEOUT: Duration = Duration::from_secs(5);
/// What takes longer than this is taken to happen never, when brokers go down and come back.
pub(crate) const LATER: Duration = Duration::from_mins(1);

/// A topic that nobody reads.
pub(crate) struct Results;

impl Topic for Results {
    type Message = Note;
    const INFO: TopicInfo = TopicInfo {
        name: "test.results",
        groups: &[],
        retained: 1_000_000,
        key: "number",
        home: common::topics::Home::Bus,
    };
}

/// A bus with names of its own.
pub(crate) struct Bench {
    pub(crate) bus: Bus,
    pub(crate) settings: KafkaServers,
    database: RedisDatabase,
}

impl Bench {
    /// On the broker that tests share. `None` after a loud skip.
    pub(crate) fn shared() -> Result<Option<Self>> {
        kafka_brokers().map_or(Ok(None), Self::on)
    }

    /// On a broker that the test may kill and pause.
    pub(crate) fn own() -> Result<Option<(Self, KafkaServer)>> {
        let Some(server) = or_skip("Kafka", KafkaServer::start()) else {
            return Ok(None);
        };
        Ok(Self::on(server.url())?.map(|bench| (bench, server)))
    }

    fn on(brokers: &str) -> Result<Option<Self>> {
        let Some(database) = redis_database() else {
            return Ok(None);
        };
        let mut settings = KafkaServers::at(brokers);
        settings.kafka_topic_prefix = kafka_prefix();
        settings.kafka_partitions = 1;
        settings.kafka_session_timeout_ms = Some(3_000);
        settings.kafka_timeout_ms = 3_000;
        let claims = Link::open(database.url(), COMMAND_TIMEOUT)?;
        Ok(Some(Self {
            bus: Bus::on_kafka(&settings, claims)?,
            settings,
            database,
        }))
    }

    /// Another bus on the same topics, as another process has it.
    pub(crate) fn another(&self, change: impl FnOnce(&mut KafkaServers)) -> Result<Bus> {
        let mut settings = self.settings.clone();
        change(&mut settings);
        let claims = Link::open(self.database.url(), COMMAND_TIMEOUT)?;
        Ok(Bus::on_kafka(&settings, claims)?)
    }

    pub(crate) fn topic(&self) -> String {
        format!("{}{}", self.settings.kafka_topic_prefix, Notes::INFO.name)
    }

    pub(crate) fn client(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        let brokers = self.settings.kafka_brokers.clone().unwrap_or_default();
        config.set("bootstrap.servers", brokers);
        config
    }

    /// Appends records as somebody else does who knows nothing of the bus.
    pub(crate) async fn append(&self, values: &[&[u8]]) -> Result<()> {
        let producer: FutureProducer = self.client().create()?;
        for value in values {
            let topic = self.topic();
            let record: FutureRecord<'_, [u8], [u8]> = FutureRecord::to(&topic).payload(*value);
            let sent = producer.send(record, COMMAND_TIMEOUT).await;
            sent.map_err(|(error, _)| error)?;
        }
        Ok(())
    }

    /// How often each number is among the results.
    pub(crate) async fn results(&self) -> Result<BTreeMap<u32, u32>> {
        let mut counts = BTreeMap::new();
        let mut from = MessageId::ZERO;
        loop {
            let page = self.bus.range(Results::INFO.name, from, 1_000).await?;
            for message in &page {
                let note = <Note as common::Message>::decode(message.fields.clone())?;
                *counts.entry(note.number).or_default() += 1;
            }
            let Some(last) = page.last() else {
                return Ok(counts);
            };
            from = last.id.next();
        }
    }
}

/// All of these are done, and each causes a result.
pub(crate) fn answered(held: &Held) -> Result<Settlement> {
    let mut outputs = Vec::new();
    for message in held.messages() {
        let number = number_of(message)?;
        let note = crate::notes::notes([number]).into_iter().next();
        outputs.push(Output {
            cause: message.id,
            topic: Results::INFO.name,
            fields: RawFields::of(&note.context("a note")?),
            once: None,
        });
    }
    Ok(Settlement {
        outputs,
        ..done(held.ids())
    })
}
