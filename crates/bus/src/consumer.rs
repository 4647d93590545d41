//! A member of a consumer group: what it is given, and how it settles.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use common::topics::TopicInfo;
use futures_util::future::BoxFuture;
use tokio::sync::{Mutex, mpsc, watch};
use tokio_util::sync::CancellationToken;

use crate::backoff::RetryPolicy;
use crate::error::BusError;
use crate::in_hand::{InHand, InHandGuard};
use crate::message_id::MessageId;
use crate::metrics;
use crate::server::{Delivery, Membership, Opened, Server};
use crate::settlement::{Settled, Settlement};
use crate::{claims, housekeeping, reading};

/// Batches that wait for the stage while it works on one.
const PREFETCHED_BATCHES: usize = 1;
/// What a handed-back message is older than its lease by, so that peers take it at once.
const HANDED_BACK_BEYOND_LEASE: Duration = Duration::from_millis(1);

/// How a subscriber behaves.
#[derive(Debug, Clone)]
pub struct SubscribeOptions {
    /// Messages in a batch at most.
    pub batch_max: usize,
    /// How long a read waits for messages, and hence how long stopping may take.
    pub read_wait: Duration,
    /// After so long without renewal a message is taken over by others.
    pub lease: Duration,
    /// When failed messages are due again.
    pub retry: RetryPolicy,
    /// Consumers that were idle so long and own nothing are removed.
    pub consumer_idle_max: Duration,
    /// How often finished messages are trimmed and gauges set.
    pub housekeeping_interval: Duration,
    /// The consumer's name; it must be unique for each start of a process.
    pub consumer: String,
}

impl Default for SubscribeOptions {
    fn default() -> Self {
        Self {
            batch_max: 512,
            read_wait: Duration::from_millis(500),
            lease: Duration::from_secs(30),
            retry: RetryPolicy::default(),
            consumer_idle_max: Duration::from_mins(10),
            housekeeping_interval: Duration::from_secs(1),
            consumer: unique_name(),
        }
    }
}

/// Host, process and a number drawn at start: a restarted process is never taken for the old one.
fn unique_name() -> String {
    let host = gethostname::gethostname().to_string_lossy().into_owned();
    let start = uuid::Uuid::new_v4().simple().to_string();
    format!(
        "{host}-{}-{}",
        std::process::id(),
        start.get(..8).unwrap_or_default()
    )
}

/// A subscription in three parts.
pub struct Subscription {
    /// The batches to process.
    pub deliveries: Deliveries,
    /// Settles them.
    pub consumer: Consumer,
    /// Why the topic cannot be read now, as long as it cannot; ends with the reading.
    pub trouble: watch::Receiver<Option<String>>,
    /// Reads, claims, renews and trims. It must be run as a task of its own, never dropped early;
    /// it ends after `stop` when nothing is in hand any more.
    pub driver: BoxFuture<'static, ()>,
}

impl fmt::Debug for Subscription {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Subscription").field(&self.consumer).finish()
    }
}

/// Batches in the order of their arrival.
#[derive(Debug)]
pub struct Deliveries {
    receiver: mpsc::Receiver<DeliveryBatch>,
}

/// Messages to be processed together. Their leases are renewed until the batch is dropped.
#[derive(Debug)]
pub struct DeliveryBatch {
    /// The messages.
    pub messages: Vec<Delivery>,
    _in_hand: InHandGuard,
}

/// Settles messages for one member. Clones are the same member.
#[derive(Debug, Clone)]
pub struct Consumer {
    member: Arc<Member>,
}

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

impl Subscription {
    pub(crate) fn new(
        server: Arc<dyn Server>,
        topic: TopicInfo,
        group: &'static str,
        (options, stop): (SubscribeOptions, CancellationToken),
    ) -> Self {
        let consumer = options.consumer.clone();
        let member = Arc::new(Member {
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
        });
        let (sender, receiver) = mpsc::channel(PREFETCHED_BATCHES);
        let (report, trouble) = watch::channel(None);
        let driver = Box::pin(drive(Arc::clone(&member), sender, report));
        Self {
            deliveries: Deliveries { receiver },
            consumer: Consumer { member },
            trouble,
            driver,
        }
    }
}

async fn drive(
    member: Arc<Member>,
    sender: mpsc::Sender<DeliveryBatch>,
    report: watch::Sender<Option<String>>,
) {
    let claiming = claims::claim_due(Arc::clone(&member), sender.clone());
    let reading = reading::read_new(Arc::clone(&member), sender, report);
    let keeping_house = housekeeping::keep_house(member);
    tokio::join!(reading, claiming, keeping_house);
}

impl Deliveries {
    /// The next batch, or `None` when the subscription was stopped and nothing is left.
    pub async fn next(&mut self) -> Option<DeliveryBatch> {
        self.receiver.recv().await
    }
}

impl Consumer {
    /// Settles messages; each is settled in one atomic step with its outputs. Repeating a
    /// settlement is harmless, so it is repeated after a failure until it succeeds.
    pub async fn settle(&self, settlement: &Settlement) -> Result<Settled, BusError> {
        self.member.settle(settlement).await
    }

    /// Gives back messages that were not processed, each with its deliveries: peers take them at
    /// once, and the delivery is not counted as an attempt.
    pub async fn hand_back(&self, messages: &[(MessageId, u32)]) -> Result<(), BusError> {
        let before: Vec<(MessageId, u32)> = messages
            .iter()
            .map(|(id, deliveries)| (*id, deliveries.saturating_sub(1)))
            .collect();
        let idle = self.member.options.lease + HANDED_BACK_BEYOND_LEASE;
        self.member
            .server
            .hand_back(&self.member.membership, &before, idle)
            .await
    }

    /// The deliveries after which a failing message is given up.
    pub fn deliveries_max(&self) -> u32 {
        self.member.options.retry.deliveries_max
    }

    /// The consumer's name, for logs.
    pub fn name(&self) -> &str {
        &self.member.membership.consumer
    }
}

impl Member {
    pub(crate) async fn settle(&self, settlement: &Settlement) -> Result<Settled, BusError> {
        let settled = self.server.settle(&self.membership, settlement).await?;
        let Membership { topic, group, .. } = self.membership;
        metrics::count(metrics::DONE, topic, group, settled.done);
        metrics::count(metrics::RETRIED, topic, group, settled.retried);
        metrics::count(metrics::DEAD, topic, group, settled.dead);
        Ok(settled)
    }

    /// Makes sure that the group is there.
    pub(crate) async fn open_group(&self) -> Result<(), BusError> {
        let Membership { topic, group, .. } = self.membership;
        let opened = self.server.open_group(topic, group).await?;
        let before = self.opened.swap(true, Ordering::Relaxed);
        let lost = match opened {
            Opened::Found => return Ok(()),
            Opened::Recreated => "the server had lost the group; it was created again",
            Opened::Created if before => "the server had lost the group and all it knew of it",
            Opened::Created => return Ok(()),
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
            _in_hand: self.in_hand.hold(ids),
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
