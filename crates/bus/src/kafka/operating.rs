//! Looking into Kafka, and deciding on dead letters.

use std::time::Duration;

use async_trait::async_trait;
use common::topics::TopicInfo;
use redis_link::ServerStatus;

use super::client::{Core, blocking};
use super::letters::{self, Decision, Verdict};
use super::{KafkaServer, overview, pending, range, risks};
use crate::dead_letter::Redriven;
use crate::delivery::StoredMessage;
use crate::error::BusError;
use crate::message_id::MessageId;
use crate::operating::{Operating, PendingMessage};

impl KafkaServer {
    async fn decide(
        &self,
        topic: &TopicInfo,
        ids: &[MessageId],
        decision: Decision,
    ) -> Result<Vec<Verdict>, BusError> {
        let (topic, ids) = (*topic, ids.to_vec());
        let decide = move |core: &Core| letters::decide(core, &topic, &ids, decision);
        blocking(&self.core, decide).await
    }
}

#[async_trait]
impl Operating for KafkaServer {
    async fn pending_messages(
        &self,
        topic: &TopicInfo,
        group: &str,
        after: MessageId,
        count: usize,
    ) -> Result<Vec<PendingMessage>, BusError> {
        let (topic, group) = (*topic, group.to_owned());
        blocking(&self.core, move |core| {
            pending::find(core, &topic, &group, (after, count))
        })
        .await
    }

    async fn settled_up_to(&self, topic: &TopicInfo, group: &str) -> Result<MessageId, BusError> {
        let (topic, group) = (*topic, group.to_owned());
        let look = move |core: &Core| overview::settled_up_to(core, &topic, &group);
        blocking(&self.core, look).await
    }

    async fn redrive(
        &self,
        topic: &TopicInfo,
        ids: &[MessageId],
    ) -> Result<Vec<Redriven>, BusError> {
        let verdicts = self.decide(topic, ids, Decision::Redrive).await?;
        let redriven = |verdict| match verdict {
            Verdict::Redriven(redriven) => redriven,
            Verdict::Removed | Verdict::Unknown => Redriven::Unknown,
        };
        Ok(verdicts.into_iter().map(redriven).collect())
    }

    async fn discard(&self, topic: &TopicInfo, ids: &[MessageId]) -> Result<Vec<bool>, BusError> {
        let verdicts = self.decide(topic, ids, Decision::Discard).await?;
        Ok(verdicts.iter().map(|v| *v == Verdict::Removed).collect())
    }

    async fn range_back(
        &self,
        stream: &str,
        from: MessageId,
        count: usize,
    ) -> Result<Vec<StoredMessage>, BusError> {
        let stream = stream.to_owned();
        let read = move |core: &Core| {
            if letters::are_in(&stream) {
                letters::backwards(core, &stream, from, count)
            } else {
                range::backwards(core, &stream, from, count)
            }
        };
        blocking(&self.core, read).await
    }

    async fn status(&self) -> Result<ServerStatus, BusError> {
        let version = blocking(&self.core, risks::cluster).await?;
        Ok(ServerStatus {
            version,
            used_memory: 0,
            memory_max: None,
            memory_system: 0,
            connected_clients: 0,
            uptime: Duration::ZERO,
        })
    }
}
