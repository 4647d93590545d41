//! A member of a consumer group: what it is given, and how it settles.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use common::topics::TopicInfo;
use crash_points::{CrashPoint, reached};
use futures_util::future::BoxFuture;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use crate::error::BusError;
use crate::in_hand::DeliveryBatch;
use crate::member::Member;
use crate::message_id::MessageId;
use crate::options::SubscribeOptions;
use crate::routed::FirstIds;
use crate::settlement::{Settled, Settlement};
use crate::streams::Streams;
use crate::{claims, housekeeping, reading};

/// Batches of each kind that wait for the stage while it works on one.
pub(crate) const PREFETCHED_BATCHES: usize = 1;

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
    pub(crate) fresh: mpsc::Receiver<DeliveryBatch>,
    /// Apart from new messages: a reader keeps its place while it waits for them, and what is due
    /// must not wait for that.
    pub(crate) claimed: mpsc::Receiver<DeliveryBatch>,
    /// Where it goes on when these have ended.
    pub(crate) stations: Option<Stations>,
}

/// The deliveries of one server after another, of a topic that is moved.
#[derive(Debug)]
pub(crate) struct Stations {
    pub(crate) next: mpsc::Receiver<Deliveries>,
    /// Notes the first ids of what is delivered.
    pub(crate) first_ids: FirstIds,
    /// There is no other server after this one when it is cancelled.
    pub(crate) stop: CancellationToken,
}

/// Settles messages for one member. Clones are the same member.
#[derive(Clone)]
pub struct Consumer {
    settling: Arc<dyn Settling>,
    name: String,
    deliveries_max: u32,
}

/// A member, as far as it settles.
#[async_trait]
pub(crate) trait Settling: Send + Sync {
    /// Settles messages, each in one atomic step with its outputs.
    async fn settle(&self, settlement: &Settlement) -> Result<Settled, BusError>;

    /// Gives back messages that were not started, each with its deliveries, this one included.
    async fn hand_back(&self, messages: &[(MessageId, u32)]) -> Result<(), BusError>;
}

impl fmt::Debug for Consumer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Consumer").field(&self.name).finish()
    }
}

impl Subscription {
    /// A member that reads and claims single messages of a server of streams.
    pub(crate) fn on_streams(
        server: Arc<dyn Streams>,
        topic: TopicInfo,
        group: &'static str,
        (options, stop): (SubscribeOptions, CancellationToken),
    ) -> Self {
        let (name, deliveries_max) = (options.consumer.clone(), options.retry.deliveries_max);
        let member = Arc::new(Member::new(server, topic, group, (options, stop)));
        let settling: Arc<dyn Settling> = Arc::<Member>::clone(&member);
        let consumer = Consumer::new(settling, name, deliveries_max);
        let (fresh_sender, fresh) = mpsc::channel(PREFETCHED_BATCHES);
        let (claimed_sender, claimed) = mpsc::channel(PREFETCHED_BATCHES);
        let (report, trouble) = watch::channel(None);
        let senders = (fresh_sender, claimed_sender);
        let driver = Box::pin(drive(member, senders, report));
        Self {
            deliveries: Deliveries::of(fresh, claimed),
            consumer,
            trouble,
            driver,
        }
    }
}

async fn drive(
    member: Arc<Member>,
    (fresh, claimed): (mpsc::Sender<DeliveryBatch>, mpsc::Sender<DeliveryBatch>),
    report: watch::Sender<Option<String>>,
) {
    let claiming = claims::claim_due(Arc::clone(&member), claimed);
    let reading = reading::read_new(Arc::clone(&member), fresh, report);
    let keeping_house = housekeeping::keep_house(member);
    tokio::join!(reading, claiming, keeping_house);
}

impl Deliveries {
    pub(crate) fn of(
        fresh: mpsc::Receiver<DeliveryBatch>,
        claimed: mpsc::Receiver<DeliveryBatch>,
    ) -> Self {
        Self {
            fresh,
            claimed,
            stations: None,
        }
    }

    /// Those of one server after another.
    pub(crate) fn of_stations(stations: Stations) -> Self {
        let (_, nothing) = mpsc::channel(1);
        let (_, nothing_claimed) = mpsc::channel(1);
        Self {
            stations: Some(stations),
            ..Self::of(nothing, nothing_claimed)
        }
    }

    /// The next batch, or `None` when the subscription was stopped and nothing is left.
    pub async fn next(&mut self) -> Option<DeliveryBatch> {
        loop {
            let batch = tokio::select! {
                Some(batch) = self.fresh.recv() => Some(batch),
                Some(batch) = self.claimed.recv() => Some(batch),
                else => None,
            };
            let Some(stations) = &mut self.stations else {
                return batch;
            };
            if let Some(batch) = &batch {
                let delivered = batch.messages.iter();
                delivered
                    .for_each(|message| stations.first_ids.learn(message.id, message.first_id));
            }
            if batch.is_some() {
                return batch;
            }
            let next = tokio::select! {
                biased;
                next = stations.next.recv() => next?,
                () = stations.stop.cancelled() => return None,
            };
            (self.fresh, self.claimed) = (next.fresh, next.claimed);
        }
    }
}

impl Consumer {
    pub(crate) fn new(settling: Arc<dyn Settling>, name: String, deliveries_max: u32) -> Self {
        Self {
            settling,
            name,
            deliveries_max,
        }
    }

    /// Settles messages; each is settled in one atomic step with its outputs. Repeating a
    /// settlement is harmless, so it is repeated after a failure until it succeeds.
    pub async fn settle(&self, settlement: &Settlement) -> Result<Settled, BusError> {
        self.settling.settle(settlement).await
    }

    /// Gives back messages that were not processed, each with its deliveries: peers take them at
    /// once, and the delivery is not counted as an attempt.
    pub async fn hand_back(&self, messages: &[(MessageId, u32)]) -> Result<(), BusError> {
        reached(CrashPoint::BusHandBackSending);
        self.settling
            .hand_back(messages)
            .await
            .inspect(|()| reached(CrashPoint::BusHandBackSent))
    }

    /// The deliveries after which a failing message is given up.
    pub fn deliveries_max(&self) -> u32 {
        self.deliveries_max
    }

    /// The consumer's name, for logs.
    pub fn name(&self) -> &str {
        &self.name
    }
}
