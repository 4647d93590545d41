//! Moving a topic from Redis to another server: what is known of it, and what it asks of the other.

use async_trait::async_trait;

use crate::delivery::StoredMessage;
use crate::error::BusError;
use crate::message_id::MessageId;
use crate::server::Server;

/// How far a move has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MoveState {
    /// Nobody can publish to the topic: what was not settled is on its way.
    Copying,
    /// The topic lives on Kafka.
    Done,
}

/// What is known of the move of a topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Move {
    /// How far it has come.
    pub state: MoveState,
    /// When it began, ISO 8601.
    pub since: String,
    /// Messages that had ever been published on Redis then.
    pub published: u64,
    /// Dead letters that waited there then.
    pub letters: u64,
    /// Messages and letters that went over: in earlier moves, or when it is done, in all.
    pub went_over: [u64; 2],
}

/// A message that is left on the old server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LeftBehind {
    pub(crate) message: StoredMessage,
    /// Whether it may have had its effects: somebody was given it.
    pub(crate) repeat: bool,
}

/// What the new server has received of a stream.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Received {
    /// Everything up to this id of the old server.
    pub(crate) up_to: MessageId,
    /// So many messages.
    pub(crate) count: u64,
}

/// A server to which topics can be moved.
#[async_trait]
pub(crate) trait Receiving: Server {
    /// What was received of a stream, a topic or its dead letters.
    async fn received(&self, stream: &str) -> Result<Received, BusError>;

    /// Appends messages of the old server and remembers what was received, in one atomic step; an
    /// error, and nothing done, if it was not `before` until then: somebody else moves the topic,
    /// too. Letters count as late ones. Repeating the call after a failure is not harmless: first ask again what was
    /// received.
    async fn receive(
        &self,
        stream: &str,
        messages: &[StoredMessage],
        (before, after): (Received, Received),
    ) -> Result<(), BusError>;
}
