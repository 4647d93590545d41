//! A member of a group: a thread that reads the partitions it owns (`session.rs`) and hands messages
//! out (`handing.rs`), and whoever settles them (`settling.rs`). What they share is the hall, in which
//! each partition has its desk.

mod desk;
mod failure;
mod handing;
mod housekeeping;
mod rebalancing;
mod session;
mod settling;
mod transaction;

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use common::topics::TopicInfo;
use crash_points::{CrashPoint, reached};
use rdkafka::consumer::BaseConsumer;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::FutureProducer;
use tokio::sync::{mpsc, oneshot, watch};
use tokio_util::sync::CancellationToken;

use self::desk::Hall;
pub(super) use self::failure::Failure;
use self::rebalancing::Attending;
use self::session::Outlet;
use super::client::{Core, Telling, failed, locked};
use super::groups;
use super::topics::{ensure, retry_topic};
use crate::consumer::{Consumer, Deliveries, PREFETCHED_BATCHES, Subscription};
use crate::error::BusError;
use crate::in_hand::InHand;
use crate::metrics;
use crate::options::SubscribeOptions;
use crate::server::{Membership, Opened};

/// The first and the longest wait after a group could not be opened or joined.
const WAIT_FIRST: Duration = Duration::from_millis(50);
const WAIT_LONGEST: Duration = Duration::from_secs(5);

/// A member and what it holds.
pub(super) struct KafkaMember {
    core: Arc<Core>,
    topic: TopicInfo,
    membership: Membership,
    options: SubscribeOptions,
    stop: CancellationToken,
    in_hand: InHand,
    hall: Mutex<Hall>,
    /// What has a part in the group now, and what publishes for it.
    clients: Mutex<Clients>,
    /// Told when something is settled, and when the driver ends.
    changed: Condvar,
    /// Whether nobody drives the member any more.
    gone: AtomicBool,
    /// The names of the topic and of the topic of its retries on the brokers.
    names: Lanes<String>,
}

/// The topic, and the topic in which its failed messages wait.
#[derive(Debug, Clone, Default)]
struct Lanes<T> {
    main: T,
    retry: T,
}

/// Which of the two.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Lane {
    Main,
    Retry,
}

impl<T> Lanes<T> {
    fn get(&self, lane: Lane) -> &T {
        match lane {
            Lane::Main => &self.main,
            Lane::Retry => &self.retry,
        }
    }

    fn get_mut(&mut self, lane: Lane) -> &mut T {
        match lane {
            Lane::Main => &mut self.main,
            Lane::Retry => &mut self.retry,
        }
    }
}

#[derive(Default)]
struct Clients {
    consumer: Option<Arc<BaseConsumer<Attending>>>,
    producer: Option<FutureProducer<Telling>>,
    /// Whether a producer was given up without knowing what became of its transaction.
    has_left_open: bool,
}

impl fmt::Debug for KafkaMember {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("KafkaMember")
            .field(&self.membership)
            .finish()
    }
}

/// Joins a group once the driver runs.
pub(super) fn subscribe(
    core: &Arc<Core>,
    topic: TopicInfo,
    group: &'static str,
    (options, stop): (SubscribeOptions, CancellationToken),
) -> Subscription {
    let (fresh_sender, fresh) = mpsc::channel(PREFETCHED_BATCHES);
    let (claimed_sender, claimed) = mpsc::channel(PREFETCHED_BATCHES);
    let (report, trouble) = watch::channel(None);
    let (name, deliveries_max) = (options.consumer.clone(), options.retry.deliveries_max);
    let on_broker = |topic: &str| core.settings.topic_name(topic);
    let member = Arc::new(KafkaMember {
        core: Arc::clone(core),
        topic,
        membership: Membership {
            topic: topic.name,
            group,
            consumer: name.clone(),
        },
        options,
        stop,
        in_hand: InHand::default(),
        hall: Mutex::default(),
        clients: Mutex::default(),
        changed: Condvar::new(),
        gone: AtomicBool::default(),
        names: Lanes {
            main: on_broker(topic.name),
            retry: on_broker(&retry_topic(topic.name, group)),
        },
    });
    let settling = Arc::new(settling::Settler(Arc::clone(&member)));
    let outlet = Outlet {
        senders: Some((fresh_sender, claimed_sender)),
        report,
    };
    Subscription {
        deliveries: Deliveries::of(fresh, claimed),
        consumer: Consumer::new(settling, name, deliveries_max),
        trouble,
        driver: Box::pin(drive(member, outlet)),
    }
}

/// Ends the member when it is dropped, however the driver ends.
struct Driving(Arc<KafkaMember>);

impl Drop for Driving {
    fn drop(&mut self) {
        self.0.gone.store(true, Ordering::Relaxed);
        self.0.changed.notify_all();
    }
}

async fn drive(member: Arc<KafkaMember>, outlet: Outlet) {
    let driving = Driving(Arc::clone(&member));
    if open_group(&member, &outlet).await {
        let (ended, end) = oneshot::channel();
        let attending = Arc::clone(&member);
        let name = format!("kafka {}", member.topic.name);
        let thread = std::thread::Builder::new().name(name).spawn(move || {
            session::attend(&attending, outlet);
            // Nobody waits any more where the driver was dropped.
            ended.send(()).ok();
        });
        match thread {
            Ok(_) => {
                let keeping_house = housekeeping::keep_house(&member);
                tokio::join!(async { end.await.ok() }, keeping_house);
            }
            Err(error) => tracing::error!(%error, "a thread for reading could not be started"),
        }
    }
    drop(driving);
}

/// Makes sure that the group is there; gives whether to go on.
async fn open_group(member: &KafkaMember, outlet: &Outlet) -> bool {
    let Membership { topic, group, .. } = member.membership;
    let mut wait = WAIT_FIRST;
    loop {
        let letters = member.topic.dead_letters();
        let opened = match groups::open(&member.core, topic, group).await {
            Ok(opened) => ensure(&member.core, &letters).await.map(|_| opened),
            Err(error) => Err(error),
        };
        let error = match opened {
            Ok(opened) => {
                if opened == Opened::Recreated {
                    tracing::error!(
                        topic,
                        group,
                        "the brokers had lost the group: created again"
                    );
                    metrics::count(metrics::GROUP_RECREATED, topic, group, 1);
                }
                reached(CrashPoint::BusGroupOpened);
                outlet.works();
                return !member.stop.is_cancelled();
            }
            Err(error) => error,
        };
        tracing::warn!(topic, group, %error, "opening the group failed; waiting");
        outlet.fails(&error);
        tokio::select! {
            () = member.stop.cancelled() => return false,
            () = tokio::time::sleep(wait) => {}
        }
        wait = (wait * 2).min(WAIT_LONGEST);
    }
}

impl KafkaMember {
    fn is_gone(&self) -> bool {
        self.gone.load(Ordering::Relaxed)
    }

    /// Whether there is nothing left to do.
    fn is_over(&self) -> bool {
        self.is_gone() || (self.stop.is_cancelled() && self.in_hand.is_empty())
    }

    fn consumer(&self) -> Option<Arc<BaseConsumer<Attending>>> {
        locked(&self.clients).consumer.clone()
    }

    fn timeout(&self) -> Duration {
        self.core.settings.timeout()
    }
}

/// The brokers may know what this member does not: an answer got lost, or the group is changing.
fn unsettled(what: &str, error: &KafkaError, hall: &mut Hall) -> BusError {
    for desk in hall.desks.values_mut() {
        desk.is_unsure = true;
    }
    hall.is_changing = matches!(
        error.rdkafka_error_code(),
        Some(
            RDKafkaErrorCode::IllegalGeneration
                | RDKafkaErrorCode::RebalanceInProgress
                | RDKafkaErrorCode::UnknownMemberId
        )
    );
    failed(what, error)
}
