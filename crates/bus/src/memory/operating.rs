//! Looking into the streams in memory, and deciding on dead letters.

use std::time::Duration;

use async_trait::async_trait;
use common::topics::TopicInfo;
use redis_link::ServerStatus;

use super::MemoryServer;
use crate::dead_letter::Redriven;
use crate::delivery::StoredMessage;
use crate::error::BusError;
use crate::message_id::MessageId;
use crate::operating::{Operating, PendingMessage};

#[async_trait]
impl Operating for MemoryServer {
    async fn pending_messages(
        &self,
        topic: &TopicInfo,
        group: &str,
        after: MessageId,
        count: usize,
    ) -> Result<Vec<PendingMessage>, BusError> {
        Ok(self.with(|state, now| {
            let all = state.pending_messages(topic.name, group, now);
            let later = all.into_iter().filter(|pending| pending.id > after);
            later.take(count).collect()
        }))
    }

    async fn settled_up_to(&self, topic: &TopicInfo, group: &str) -> Result<MessageId, BusError> {
        Ok(self.with(|state, _| state.settled_up_to(topic.name, group)))
    }

    async fn redrive(
        &self,
        topic: &TopicInfo,
        ids: &[MessageId],
    ) -> Result<Vec<Redriven>, BusError> {
        let redriven = self.with(|state, now| {
            let redrive = |id: &MessageId| state.redrive(topic, *id, now);
            ids.iter().map(redrive).collect()
        });
        self.shared.published.notify_waiters();
        Ok(redriven)
    }

    async fn discard(&self, topic: &TopicInfo, ids: &[MessageId]) -> Result<Vec<bool>, BusError> {
        Ok(self.with(|state, _| state.discard(topic, ids)))
    }

    async fn range_back(
        &self,
        stream: &str,
        from: MessageId,
        count: usize,
    ) -> Result<Vec<StoredMessage>, BusError> {
        Ok(self.with(|state, _| state.range_back(stream, from, count)))
    }

    async fn status(&self) -> Result<ServerStatus, BusError> {
        Ok(ServerStatus {
            version: "in memory".to_owned(),
            used_memory: 0,
            memory_max: None,
            memory_system: 0,
            connected_clients: 0,
            uptime: Duration::ZERO,
        })
    }
}
