//! Looking into the server of a topic, and deciding on its dead letters there.

use async_trait::async_trait;
use common::topics::TopicInfo;
use redis_link::ServerStatus;

use super::Routed;
use crate::dead_letter::Redriven;
use crate::delivery::StoredMessage;
use crate::error::BusError;
use crate::message_id::MessageId;
use crate::operating::{Operating, PendingMessage};

#[async_trait]
impl Operating for Routed {
    async fn pending_messages(
        &self,
        topic: &TopicInfo,
        group: &str,
        after: MessageId,
        count: usize,
    ) -> Result<Vec<PendingMessage>, BusError> {
        let server = self.view(topic.name).await?;
        server.pending_messages(topic, group, after, count).await
    }

    async fn settled_up_to(&self, topic: &TopicInfo, group: &str) -> Result<MessageId, BusError> {
        self.view(topic.name)
            .await?
            .settled_up_to(topic, group)
            .await
    }

    async fn redrive(
        &self,
        topic: &TopicInfo,
        ids: &[MessageId],
    ) -> Result<Vec<Redriven>, BusError> {
        let redriven = self.home(topic.name).await?.redrive(topic, ids).await;
        self.explained(topic.name, redriven).await
    }

    async fn discard(&self, topic: &TopicInfo, ids: &[MessageId]) -> Result<Vec<bool>, BusError> {
        let discarded = self.home(topic.name).await?.discard(topic, ids).await;
        self.explained(topic.name, discarded).await
    }

    async fn range_back(
        &self,
        stream: &str,
        from: MessageId,
        count: usize,
    ) -> Result<Vec<StoredMessage>, BusError> {
        self.view(stream)
            .await?
            .range_back(stream, from, count)
            .await
    }

    /// That of Redis: Kafka has no such numbers.
    async fn status(&self) -> Result<ServerStatus, BusError> {
        self.redis.status().await
    }
}
