//! The thread of a member: joins the group, reads, and joins again when something broke.

use std::sync::Arc;
use std::time::{Duration, Instant};

use rdkafka::Message as _;
use rdkafka::TopicPartitionList;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::{KafkaError, KafkaResult};
use rdkafka::message::BorrowedMessage;
use tokio::sync::{mpsc, watch};

use super::desk::Known;
use super::rebalancing::Attending;
use super::{KafkaMember, Lane, WAIT_FIRST, WAIT_LONGEST};
use crate::error::BusError;
use crate::in_hand::DeliveryBatch;
use crate::kafka::client::{failed, locked};
use crate::kafka::looker::is_passing;

/// How long one wait for records is: so long may pass until a free place is noticed.
const WAIT: Duration = Duration::from_millis(10);
/// Records that are taken in before batches are handed out.
const TAKEN_IN_MAX: usize = 1_000;
/// Batches that a partition has ready at most, and when fetching goes on.
const BATCHES_READY_MAX: usize = 2;
/// Bytes that a partition has at most.
const BYTES_MAX: usize = 16 * 1024 * 1024;
/// How often the brokers are asked whether they are back.
const RECOVERY_INTERVAL: Duration = Duration::from_millis(500);

/// Takes new messages, and takes those that come again.
pub(super) type Senders = (mpsc::Sender<DeliveryBatch>, mpsc::Sender<DeliveryBatch>);

/// How often the books are committed though they did not change.
const REFRESH_INTERVAL: Duration = Duration::from_hours(1);

/// Where batches and bad news go.
pub(super) struct Outlet {
    /// New messages, and those that come again. None after the signal to stop.
    pub(super) senders: Option<Senders>,
    pub(super) report: watch::Sender<Option<String>>,
}

impl Outlet {
    pub(super) fn works(&self) {
        self.report
            .send_if_modified(|trouble| trouble.take().is_some());
    }

    pub(super) fn fails(&self, error: &BusError) {
        self.report.send_replace(Some(error.to_string()));
    }

    fn is_in_trouble(&self) -> bool {
        self.report.borrow().is_some()
    }
}

/// Reads until the member's end.
pub(super) fn attend(member: &Arc<KafkaMember>, mut outlet: Outlet) {
    let mut wait = WAIT_FIRST;
    while !member.is_over() {
        match join(member) {
            Ok(consumer) => {
                let started = Instant::now();
                locked(&member.clients).consumer = Some(Arc::clone(&consumer));
                read(member, &consumer, &mut outlet);
                locked(&member.clients).consumer = None;
                // Leaves the group, once whoever is just settling has done so.
                drop(consumer);
                if started.elapsed() > WAIT_LONGEST {
                    wait = WAIT_FIRST;
                }
            }
            Err(error) => {
                tracing::warn!(topic = member.topic.name, %error, "joining failed; waiting");
                outlet.fails(&error);
            }
        }
        let mut hall = locked(&member.hall);
        hall.desks.clear();
        hall.failed.clear();
        hall.is_between = true;
        hall.is_broken = false;
        if !member.is_over() {
            drop(member.changed.wait_timeout(hall, wait));
            wait = (wait * 2).min(WAIT_LONGEST);
        }
    }
    locked(&member.clients).producer = None;
}

fn join(member: &Arc<KafkaMember>) -> Result<Arc<BaseConsumer<Attending>>, BusError> {
    let settings = &member.core.settings;
    let session = settings.session_timeout(member.options.lease).as_millis();
    let mut config = settings.consumer(member.membership.group);
    config
        .set("session.timeout.ms", session.to_string())
        .set(
            "heartbeat.interval.ms",
            (session / 6).min(3_000).to_string(),
        )
        .set("max.poll.interval.ms", session.max(300_000).to_string())
        .set("partition.assignment.strategy", "cooperative-sticky")
        .set("enable.partition.eof", "false");
    if let Some(instance) = &settings.kafka_group_instance_id {
        let name = format!("{instance}-{}", member.topic.name);
        config.set("group.instance.id", name);
    }
    let what = "joining the group";
    let context = Attending(Arc::downgrade(member));
    let consumer: KafkaResult<BaseConsumer<Attending>> = config.create_with_context(context);
    let consumer = consumer.map_err(|error| failed(what, &error))?;
    let subscribed = consumer.subscribe(&[&member.names.main]);
    subscribed.map_err(|error| failed(what, &error))?;
    Ok(Arc::new(consumer))
}

/// Reads until the member's end, or until the session cannot go on.
fn read(member: &KafkaMember, consumer: &BaseConsumer<Attending>, outlet: &mut Outlet) {
    let mut asked = Instant::now();
    let mut refreshed = Instant::now();
    while !member.is_over() && !locked(&member.hall).is_broken {
        if member.stop.is_cancelled() {
            outlet.senders = None;
        }
        let mut wait = WAIT;
        for _ in 0..TAKEN_IN_MAX {
            match consumer.poll(wait) {
                None => break,
                Some(Ok(record)) => member.take_in(&record),
                Some(Err(error)) if is_passing(&error) => {
                    outlet.fails(&failed("reading", &error));
                    break;
                }
                Some(Err(error)) => {
                    tracing::warn!(topic = member.topic.name, %error, "reading failed; joining anew");
                    locked(&member.hall).is_broken = true;
                    return;
                }
            }
            wait = Duration::ZERO;
        }
        match member.tend(consumer, outlet.senders.as_ref()) {
            Ok(false) => {}
            Ok(true) => outlet.works(),
            Err(error) if locked(&member.hall).is_changing => {
                tracing::debug!(topic = member.topic.name, %error, "handing out later");
            }
            Err(error) => {
                tracing::warn!(topic = member.topic.name, %error, "handing out failed");
                outlet.fails(&error);
            }
        }
        if refreshed.elapsed() >= REFRESH_INTERVAL {
            refreshed = Instant::now();
            if let Err(error) = member.refresh(consumer) {
                tracing::warn!(topic = member.topic.name, %error, "committing again failed");
            }
        }
        if outlet.is_in_trouble() && asked.elapsed() >= RECOVERY_INTERVAL {
            let answer = consumer.fetch_metadata(Some(&member.names.main), RECOVERY_INTERVAL);
            if answer.is_ok() {
                outlet.works();
            }
            asked = Instant::now();
        }
        if let Err(error) = member.balance(consumer) {
            tracing::warn!(topic = member.topic.name, %error, "pausing failed");
        }
    }
}

impl KafkaMember {
    fn take_in(&self, record: &BorrowedMessage<'_>) {
        let (partition, offset) = (record.partition(), record.offset());
        let lane = if record.topic() == self.names.main {
            Lane::Main
        } else {
            Lane::Retry
        };
        let mut hall = locked(&self.hall);
        let Some(desk) = hall.desks.get_mut(&partition) else {
            return;
        };
        let known = Known::of(record);
        let id = known.id;
        let pile = desk.piles.get_mut(lane);
        if pile.take_in(offset, known, &self.in_hand) && lane == Lane::Retry {
            hall.failed.insert(id, (partition, offset));
        }
    }

    /// Commits the books as they are. Brokers forget what a group has committed for a topic that it is
    /// not subscribed to, as that of the retries, after `offsets.retention.minutes`.
    fn refresh(&self, consumer: &BaseConsumer<Attending>) -> Result<(), BusError> {
        let mut hall = locked(&self.hall);
        self.make_sure(consumer, &mut hall)?;
        let desks = hall.desks.iter();
        let pages = desks.map(|(partition, desk)| (*partition, desk.page()));
        let pages = pages.collect();
        self.commit(consumer, &mut hall, pages)
    }

    /// Pauses partitions of which enough was fetched, and goes on with the others.
    fn balance(&self, consumer: &BaseConsumer<Attending>) -> Result<(), KafkaError> {
        let records_max = self.options.batch_max.saturating_mul(BATCHES_READY_MAX);
        let (mut pause, mut resume) = (TopicPartitionList::new(), TopicPartitionList::new());
        let mut hall = locked(&self.hall);
        for (partition, desk) in &mut hall.desks {
            for lane in [Lane::Main, Lane::Retry] {
                let pile = desk.piles.get_mut(lane);
                let full = pile.is_full(records_max, BYTES_MAX);
                let short = !pile.is_full(records_max / 2, BYTES_MAX / 2);
                if full && !pile.is_paused {
                    pause.add_partition(self.names.get(lane), *partition);
                    pile.is_paused = true;
                } else if short && pile.is_paused {
                    resume.add_partition(self.names.get(lane), *partition);
                    pile.is_paused = false;
                }
            }
        }
        drop(hall);
        if pause.count() > 0 {
            consumer.pause(&pause)?;
        }
        if resume.count() > 0 {
            consumer.resume(&resume)?;
        }
        Ok(())
    }
}
