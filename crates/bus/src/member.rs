//! One member of a consumer group: what it is and what it holds.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use common::topics::TopicInfo;
use tokio::sync::{Mutex, mpsc};
use tokio_util::sync::CancellationToken;

use crate::delivery::Delivery;
use crate::error::BusError;
use crate::in_hand::{InHand, InHandGuard};
use crate::message_id::MessageId;
use crate::metrics;
use crate::options::SubscribeOptions;
use crate::server::{Membership, Opened, Server};
use crate::settlement::{Settled, Settlement};

/// A member and what it holds.
pub(crate) struct Member {
    pub(crate) server: Arc<dyn Server>,
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

/// Messages to be processed together. Their leases are renewed until the batch is dropped.
#[derive(Debug)]
pub struct DeliveryBatch {
    /// The messages.
    pub messages: Vec<Delivery>,
    in_hand: InHandGuard,
}

impl DeliveryBatch {
    /// Ends the renewal for messages that are settled before the others of the batch.
    pub fn release(&self, ids: &[MessageId]) {
        self.in_hand.release(ids);
    }
}

impl Member {
    pub(crate) fn new(
        server: Arc<dyn Server>,
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

    pub(crate) async fn settle(&self, settlement: &Settlement) -> Result<Settled, BusError> {
        let settled = self.server.settle(&self.membership, settlement).await?;
        let Membership { topic, group, .. } = self.membership;
        metrics::count(metrics::DONE, topic, group, settled.done);
        metrics::count(metrics::RETRIED, topic, group, settled.retried);
        metrics::count(metrics::DEAD, topic, group, settled.dead);
        let outputs = u64::try_from(settlement.outputs.len()).unwrap_or(u64::MAX);
        let withheld = outputs.saturating_sub(settled.published);
        metrics::count(metrics::WITHHELD, topic, group, withheld);
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
        metrics::batch(self.membership.topic, self.membership.group, messages.len());
        let ids = messages.iter().map(|message| message.id).collect();
        DeliveryBatch {
            messages,
            in_hand: self.in_hand.hold(ids),
        }
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
