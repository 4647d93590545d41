//! What the people who run the bus ask of a server, beside moving messages.

use std::time::Duration;

use async_trait::async_trait;
use common::topics::TopicInfo;
use redis_link::ServerStatus;

use crate::dead_letter::Redriven;
use crate::delivery::StoredMessage;
use crate::error::BusError;
use crate::message_id::MessageId;

/// A delivered message that is not settled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PendingMessage {
    /// Its place in the topic.
    pub id: MessageId,
    /// Who holds it; `None` when it failed and waits for its retry.
    pub consumer: Option<String>,
    /// For how long nobody has touched it.
    pub idle: Duration,
    /// How often it was delivered.
    pub deliveries: u32,
    /// When its processing first failed, ISO 8601.
    pub first_failed_at: Option<String>,
    /// Why it failed last: the reason's code and the error.
    pub last_failure: Option<String>,
}

/// A server that can be looked into, and whose dead letters can be decided on.
#[async_trait]
pub(crate) trait Operating: Send + Sync {
    /// Pending messages after an id, in order; nothing when there is no such group.
    async fn pending_messages(
        &self,
        topic: &TopicInfo,
        group: &str,
        after: MessageId,
        count: usize,
    ) -> Result<Vec<PendingMessage>, BusError>;

    /// The highest id up to which the group has settled everything.
    async fn settled_up_to(&self, topic: &TopicInfo, group: &str) -> Result<MessageId, BusError>;

    /// Publishes the messages of letters again and removes the letters, each in one atomic step.
    async fn redrive(
        &self,
        topic: &TopicInfo,
        ids: &[MessageId],
    ) -> Result<Vec<Redriven>, BusError>;

    /// Removes letters for good; gives of each whether it was there.
    async fn discard(&self, topic: &TopicInfo, ids: &[MessageId]) -> Result<Vec<bool>, BusError>;

    /// Messages of any stream, newest first, from an id down.
    async fn range_back(
        &self,
        stream: &str,
        from: MessageId,
        count: usize,
    ) -> Result<Vec<StoredMessage>, BusError>;

    /// How the server is.
    async fn status(&self) -> Result<ServerStatus, BusError>;
}
