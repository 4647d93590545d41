//! What a server of streams adds, so that [`Member`](crate::member::Member) can make a subscription
//! of it: Redis and memory hand out single messages and remember who holds each.

use std::time::Duration;

use async_trait::async_trait;

use crate::delivery::StoredMessage;
use crate::error::BusError;
use crate::message_id::MessageId;
use crate::server::{Membership, Server};
use crate::settlement::{Settled, Settlement};

/// The name under which failed messages wait for their retry. It is a consumer of the group that
/// nobody is: what it owns is in nobody's hands.
pub(crate) const RETRYING: &str = "retrying";

/// What a read of new messages gave.
#[derive(Debug, Default)]
pub(crate) struct Fresh {
    pub(crate) messages: Vec<StoredMessage>,
    /// Those up to here may have been processed before the group was lost and created again.
    pub(crate) repeat_until: MessageId,
}

/// Which pending messages are asked for.
#[derive(Debug, Clone)]
pub(crate) struct PendingQuery {
    pub(crate) consumer: Option<String>,
    pub(crate) idle_min: Duration,
    pub(crate) after: MessageId,
    pub(crate) count: usize,
}

/// A delivered message that is not settled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Pending {
    pub(crate) id: MessageId,
    pub(crate) consumer: String,
    pub(crate) idle: Duration,
    pub(crate) deliveries: u32,
}

/// A wish to take over a pending message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Claim {
    pub(crate) id: MessageId,
    /// It is granted only if the message has been idle so long.
    pub(crate) idle_min: Duration,
    /// The deliveries that are recorded after it.
    pub(crate) deliveries: u32,
}

/// What came of claims.
#[derive(Debug, Default)]
pub(crate) struct Claimed {
    pub(crate) messages: Vec<StoredMessage>,
    /// Pending messages that are no longer in the stream.
    pub(crate) vanished: Vec<MessageId>,
}

/// Reads new messages on a connection of its own.
#[async_trait]
pub(crate) trait Reader: Send {
    /// Waits for up to `count` messages that were never delivered to the group. Nothing after a
    /// bounded wait. The call must run to its end: dropping it could lose a delivery.
    async fn read(&mut self, count: usize) -> Result<Fresh, BusError>;
}

/// A server that remembers of every delivered message who holds it.
#[async_trait]
pub(crate) trait Streams: Server {
    /// A reader for this member, which waits for at most `wait`.
    fn reader(&self, member: &Membership, wait: Duration) -> Box<dyn Reader>;

    /// Pending messages in the order of their ids.
    async fn pending(
        &self,
        member: &Membership,
        query: PendingQuery,
    ) -> Result<Vec<Pending>, BusError>;

    /// Takes over pending messages.
    async fn claim(&self, member: &Membership, claims: &[Claim]) -> Result<Claimed, BusError>;

    /// Keeps messages from being claimed by others; gives those that are no longer this member's.
    async fn renew(
        &self,
        member: &Membership,
        ids: &[MessageId],
    ) -> Result<Vec<MessageId>, BusError>;

    /// Gives back messages that were not started, with the deliveries they had before, so that
    /// others take them at once.
    async fn hand_back(
        &self,
        member: &Membership,
        messages: &[(MessageId, u32)],
        idle: Duration,
    ) -> Result<(), BusError>;

    /// Settles messages, each in one atomic step with its outputs.
    async fn settle(&self, member: &Membership, all: &Settlement) -> Result<Settled, BusError>;

    /// Removes consumers that have been idle so long and own nothing; gives how many.
    async fn remove_idle_consumers(
        &self,
        member: &Membership,
        idle_min: Duration,
    ) -> Result<u64, BusError>;
}
