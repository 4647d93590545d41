//! What the bus asks of a server.

use std::sync::Arc;

use async_trait::async_trait;
use common::FieldSink;
use common::topics::TopicInfo;
use tokio_util::sync::CancellationToken;

use crate::consumer::Subscription;
use crate::delivery::StoredMessage;
use crate::error::BusError;
use crate::late_letter::LateLetter;
use crate::message_id::MessageId;
use crate::migration::Migration;
use crate::moves::{Move, Receiving};
use crate::once::{ClaimWindow, Once};
use crate::operating::Operating;
use crate::options::SubscribeOptions;
use crate::overview::TopicOverview;
use crate::place::Place;

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

/// A way in which a server may lose work, with what to set against it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Risk {
    /// It may throw away work when its memory is full.
    Eviction(String),
    /// It forgets work when it stops.
    Forgetting(String),
}

/// A server of topics with consumer groups.
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

    /// Joins a group of a topic as one member.
    fn subscribe(
        self: Arc<Self>,
        topic: TopicInfo,
        group: &'static str,
        options: SubscribeOptions,
        stop: CancellationToken,
    ) -> Subscription;

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

    /// The same server as one to which topics can be moved, if it is one.
    fn receiving(self: Arc<Self>) -> Option<Arc<dyn Receiving>> {
        None
    }

    /// What moves topics to the other server, where there are two.
    fn migration(&self) -> Option<Migration> {
        None
    }

    /// Where a topic lives or is on its way to, where there may be two servers.
    async fn place_of(&self, _topic: &str) -> Result<Option<Place>, BusError> {
        Ok(None)
    }

    /// What a topic looks like on Redis, where there may be two servers.
    async fn overview_on_redis(&self, topic: &TopicInfo) -> Result<TopicOverview, BusError> {
        self.overview(topic).await
    }

    /// How far the move of a topic has come, where there may be two servers.
    async fn move_of(&self, _topic: &str) -> Result<Option<Move>, BusError> {
        Ok(None)
    }
}
