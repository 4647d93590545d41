//! One member of a consumer group: what it is and what it holds.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use common::topics::TopicInfo;
use tokio::sync::{Mutex, mpsc};
use tokio_util::sync::CancellationToken;

use crate::consumer::Settling;
use crate::delivery::Delivery;
use crate::error::BusError;
use crate::in_hand::{DeliveryBatch, InHand};
use crate::message_id::MessageId;
use crate::metrics;
use crate::options::SubscribeOptions;
use crate::server::{Membership, Opened};
use crate::settlement::{Settled, Settlement};
use crate::streams::Streams;

/// What a handed-back message is older than its lease by, so that peers take it at once.
const HANDED_BACK_BEYOND_LEASE: Duration = Duration::from_millis(1);

/// A member and what it holds.
pub(crate) struct Member {
    pub(crate) server: Arc<dyn Streams>,
    pub(crate) topic: TopicInfo,
    pub(crate) membership: Membership,
    pub(crate) options: SubscribeOptions,
    pub(crate) stop: CancellationToken,
    pub(crate) in_hand: InHand,
    /// Held while messages are on their way from the server into `in_hand`, so that a recovery
    /// does not take them for ghosts.
    pub(crate) acquiring: Mutex<()>,
    /// Whether the group was there before.
    opened: AtomicBool,
}

impl fmt::Debug for Member {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Member").field(&self.membership).finish()
    }
}

impl Member {
    pub(crate) fn new(
        server: Arc<dyn Streams>,
        topic: TopicInfo,
        group: &'static str,
        (options, stop): (SubscribeOptions, CancellationToken),
    ) -> Self {
        let consumer = options.consumer.clone();
        Self {
            server,
            topic,
            membership: Membership {
                topic: topic.name,
                group,
                consumer,
            },
            options,
            stop,
            in_hand: InHand::default(),
            acquiring: Mutex::default(),
            opened: AtomicBool::default(),
        }
    }

    pub(crate) async fn settle_all(&self, settlement: &Settlement) -> Result<Settled, BusError> {
        let settled = self.server.settle(&self.membership, settlement).await?;
        metrics::settled(&self.membership, settlement, &settled);
        Ok(settled)
    }

    /// Makes sure that the group is there.
    pub(crate) async fn open_group(&self) -> Result<(), BusError> {
        let Membership { topic, group, .. } = self.membership;
        let opened = self.server.open_group(topic, group).await?;
        let before = self.opened.swap(true, Ordering::Relaxed);
        let lost = match opened {
            Opened::Recreated => "the server had lost the group; it was created again",
            Opened::Created if before => "the server had lost the group and all it knew of it",
            Opened::Created | Opened::Found => return Ok(()),
        };
        tracing::error!(topic, group, "{lost}");
        metrics::count(metrics::GROUP_RECREATED, topic, group, 1);
        Ok(())
    }

    /// Registers messages as held and makes them a batch.
    pub(crate) fn batch(&self, messages: Vec<Delivery>) -> DeliveryBatch {
        DeliveryBatch::of(messages, &self.in_hand, &self.membership)
    }

    /// A place for the next batch, as soon as the stage can take one; `None` when stopping.
    pub(crate) async fn place<'a>(
        &self,
        sender: &'a mpsc::Sender<DeliveryBatch>,
    ) -> Option<mpsc::Permit<'a, DeliveryBatch>> {
        tokio::select! {
            () = self.stop.cancelled() => None,
            permit = sender.reserve() => permit.ok(),
        }
    }

    /// Waits, unless stopping; gives whether to go on.
    pub(crate) async fn wait(&self, duration: Duration) -> bool {
        tokio::select! {
            () = self.stop.cancelled() => false,
            () = tokio::time::sleep(duration) => true,
        }
    }
}

#[async_trait]
impl Settling for Member {
    async fn settle(&self, settlement: &Settlement) -> Result<Settled, BusError> {
        self.settle_all(settlement).await
    }

    async fn hand_back(&self, messages: &[(MessageId, u32)]) -> Result<(), BusError> {
        let before: Vec<(MessageId, u32)> = messages
            .iter()
            .map(|(id, deliveries)| (*id, deliveries.saturating_sub(1)))
            .collect();
        let idle = self.options.lease + HANDED_BACK_BEYOND_LEASE;
        self.server.hand_back(&self.membership, &before, idle).await
    }
}
