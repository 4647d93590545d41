//! What the bus asks of a server. Everything above this trait is the same for Redis and memory.

use std::time::Duration;

use async_trait::async_trait;
use common::FieldSink;
use common::topics::TopicInfo;

use crate::delivery::StoredMessage;
use crate::error::BusError;
use crate::late_letter::LateLetter;
use crate::message_id::MessageId;
use crate::once::{ClaimWindow, Once};
use crate::operating::Operating;
use crate::overview::TopicOverview;
use crate::settlement::{Settled, Settlement};

/// The name under which failed messages wait for their retry. It is a consumer of the group that
/// nobody is: what it owns is in nobody's hands.
pub(crate) const RETRYING: &str = "retrying";

/// Messages that can be written into a command without a copy in between.
pub(crate) trait Encoded: Send + Sync {
    /// How many.
    fn len(&self) -> usize;
    /// Writes the fields of one of them; nothing if there is none of that number.
    fn encode(&self, number: usize, sink: &mut dyn FieldSink);
}

/// Who reads what.
#[derive(Debug, Clone)]
pub(crate) struct Membership {
    pub(crate) topic: &'static str,
    pub(crate) group: &'static str,
    pub(crate) consumer: String,
}

/// What a read of new messages gave.
#[derive(Debug, Default)]
pub(crate) struct Fresh {
    pub(crate) messages: Vec<StoredMessage>,
    /// Those up to here may have been processed before the group was lost and created again.
    pub(crate) repeat_until: MessageId,
}

/// How a group was found when it was opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Opened {
    /// It was there.
    Found,
    /// Nothing was known of it.
    Created,
    /// It had been there and was lost.
    Recreated,
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

/// A way in which a server may lose work, with what to set against it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Risk {
    /// It may throw away work when its memory is full.
    Eviction(String),
    /// It forgets work when it stops.
    Forgetting(String),
}

/// Reads new messages on a connection of its own.
#[async_trait]
pub(crate) trait Reader: Send {
    /// Waits for up to `count` messages that were never delivered to the group. Nothing after a
    /// bounded wait. The call must run to its end: dropping it could lose a delivery.
    async fn read(&mut self, count: usize) -> Result<Fresh, BusError>;
}

/// A server of streams with consumer groups.
#[async_trait]
pub(crate) trait Server: Operating {
    /// Appends messages; gives their ids in order.
    async fn publish(&self, topic: &str, all: &dyn Encoded) -> Result<Vec<MessageId>, BusError>;

    /// Appends each message whose claim succeeds, in one atomic step for each; `None` for others.
    async fn publish_once(
        &self,
        topic: &str,
        messages: &dyn Encoded,
        claims: &[Once],
    ) -> Result<Vec<Option<MessageId>>, BusError>;

    /// Appends each message whose name nobody has claimed, and claims it; `None` for others. Of two
    /// calls at the same moment both may append, and only one is told so.
    async fn publish_new(
        &self,
        topic: &str,
        messages: &dyn Encoded,
        claims: (&[String], ClaimWindow),
    ) -> Result<Vec<Option<MessageId>>, BusError>;

    /// Writes the letters whose claims succeed, each in one atomic step with its claim; gives how
    /// many.
    async fn give_up_late(
        &self,
        topic: &TopicInfo,
        letters: &[LateLetter],
    ) -> Result<u64, BusError>;

    /// Creates the group where it is missing, at the position it had.
    async fn open_group(&self, topic: &str, group: &str) -> Result<Opened, BusError>;

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

    /// Records how far each group has come and removes finished messages beyond the retention;
    /// gives how many were removed.
    async fn trim(&self, topic: &TopicInfo) -> Result<u64, BusError>;

    /// What the topic looks like now.
    async fn overview(&self, topic: &TopicInfo) -> Result<TopicOverview, BusError>;

    /// Messages of any stream in order, from an id on.
    async fn range(
        &self,
        stream: &str,
        from: MessageId,
        count: usize,
    ) -> Result<Vec<StoredMessage>, BusError>;

    /// Whether the server answers, and what its settings put at risk.
    async fn check(&self) -> Result<Vec<Risk>, BusError>;
}
