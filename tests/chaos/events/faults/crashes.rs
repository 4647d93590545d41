//! Workers that crash at every named step.

use std::time::Duration;

use anyhow::Result;
use bus::GroupOverview;
use common::topics::{EventsNormalized, EventsRaw, Topic as _, TopicInfo};
use crash_points::CrashPoint;
use testkit::servers::{ProxyMode, eventually};

use super::Round;
use crate::events::Deployment;
use crate::faults::Fault;
use crate::mill::Mill as _;
use crate::round::last;
use crate::worker::Role;

/// More than two batches, the first of which is settled in two parts.
const BACKLOG: u64 = 1_500;
/// More than one batch was delivered: one is worked on and another waits.
const TWO_BATCHES: u64 = 512;
const SOON: Duration = Duration::from_secs(30);
/// By what replies are late: more than a third of a lease, so that it is renewed.
const LATE: Duration = Duration::from_millis(450);
/// By what they are so late that the worker has given them up.
const TOO_LATE: Duration = Duration::from_secs(3);
/// Else what was delivered without arriving is taken over as if its consumer were dead.
const LONG_LEASE_MS: &str = "60000";
/// How long a worker may take to reach the server again and to ask what it was given.
const RECOVERY: Duration = Duration::from_secs(10);
/// How often that is tried, and events that last for so long.
const TRIES: u32 = 4;
const EVENTS_OF_TRIES: u64 = 2_000;
/// Replies of Redis after which a worker is cut, counted from a point on.
const SWEEP: [u64; 6] = [1, 2, 3, 4, 5, 8];
/// From where they are counted: before a worker says to Redis what it has done.
const SWEPT: [(CrashPoint, Role); 3] = [
    (CrashPoint::IngestionPublishing, Role::Api),
    (CrashPoint::StageProcessed, Role::Normalizer),
    (CrashPoint::StageDelivered, Role::Processor),
];

/// How a worker is brought to a point.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    /// Events are sent to it.
    Requests,
    /// It finds a backlog when it starts.
    Backlog,
    /// It takes over what a worker left that crashed before.
    Inheritance,
    /// Messages are delivered and arrive too late.
    LateReplies,
    /// Redis is slow.
    SlowRedis,
    /// It is told to stop while it works.
    Stop,
}

impl Way {
    fn to(point: CrashPoint) -> Self {
        match point {
            CrashPoint::IngestionPublishing | CrashPoint::IngestionPublished => Self::Requests,
            CrashPoint::BusClaimed => Self::Inheritance,
            CrashPoint::BusRecovered => Self::LateReplies,
            CrashPoint::BusRenewed => Self::SlowRedis,
            CrashPoint::BusHandBackSending | CrashPoint::BusHandBackSent => Self::Stop,
            CrashPoint::RedisReplied
            | CrashPoint::BusGroupOpened
            | CrashPoint::BusReadDelivered
            | CrashPoint::BusSettleSending
            | CrashPoint::BusSettleBetween
            | CrashPoint::BusSettleSent
            | CrashPoint::BusTrimmed
            | CrashPoint::BusMoveAside
            | CrashPoint::BusMoveCopied
            | CrashPoint::BusMoveDone
            | CrashPoint::StageDelivered
            | CrashPoint::StageProcessed
            | CrashPoint::StageSettled
            | CrashPoint::StoresProfilesCommitting
            | CrashPoint::StoresProfilesCommitted
            | CrashPoint::StoresEffectsCommitting
            | CrashPoint::StoresEffectsCommitted
            | CrashPoint::StoresFeedbackBetweenWrites
            | CrashPoint::StoresFeedbackWritten
            | CrashPoint::StoresFeedbackAdded
            | CrashPoint::StoresFeedbackTaken
            | CrashPoint::StoresFeedbackFinishing
            | CrashPoint::OutboxPublished
            | CrashPoint::OutboxRemoved
            | CrashPoint::FeedbackTaken
            | CrashPoint::FeedbackWritten
            | CrashPoint::FeedbackHalfPublished
            | CrashPoint::FeedbackPublished
            | CrashPoint::FeedbackFinished => Self::Backlog,
        }
    }
}

/// Who passes a point.
fn roles(point: CrashPoint) -> &'static [Role] {
    match point {
        CrashPoint::IngestionPublishing | CrashPoint::IngestionPublished => &[Role::Api],
        CrashPoint::StoresProfilesCommitting | CrashPoint::StoresProfilesCommitted => {
            &[Role::Normalizer]
        }
        CrashPoint::StoresEffectsCommitting
        | CrashPoint::StoresEffectsCommitted
        | CrashPoint::OutboxPublished
        | CrashPoint::OutboxRemoved => &[Role::Processor],
        // Swept, counted from other points on.
        CrashPoint::RedisReplied
        // Passed by no worker of this deployment; `tests/feedback.rs` cuts there.
        | CrashPoint::StoresFeedbackBetweenWrites
        | CrashPoint::StoresFeedbackWritten
        | CrashPoint::StoresFeedbackAdded
        | CrashPoint::StoresFeedbackTaken
        | CrashPoint::StoresFeedbackFinishing
        | CrashPoint::FeedbackTaken
        | CrashPoint::FeedbackWritten
        | CrashPoint::FeedbackHalfPublished
        | CrashPoint::FeedbackPublished
        | CrashPoint::FeedbackFinished
        // Passed by the tool that moves a topic, and by no worker.
        | CrashPoint::BusMoveAside
        | CrashPoint::BusMoveCopied
        | CrashPoint::BusMoveDone => &[],
        CrashPoint::BusGroupOpened
        | CrashPoint::BusReadDelivered
        | CrashPoint::BusRecovered
        | CrashPoint::BusClaimed
        | CrashPoint::BusRenewed
        | CrashPoint::BusSettleSending
        | CrashPoint::BusSettleBetween
        | CrashPoint::BusSettleSent
        | CrashPoint::BusHandBackSending
        | CrashPoint::BusHandBackSent
        | CrashPoint::BusTrimmed
        | CrashPoint::StageDelivered
        | CrashPoint::StageProcessed
        | CrashPoint::StageSettled => &[Role::Normalizer, Role::Processor],
    }
}

/// The crashes that every run of the tests tries, one of each kind.
const SMALL: [(CrashPoint, Role); 9] = [
    (CrashPoint::IngestionPublished, Role::Api),
    (CrashPoint::BusReadDelivered, Role::Processor),
    (CrashPoint::BusClaimed, Role::Normalizer),
    (CrashPoint::BusSettleBetween, Role::Normalizer),
    (CrashPoint::BusHandBackSent, Role::Normalizer),
    (CrashPoint::StageProcessed, Role::Normalizer),
    (CrashPoint::StoresProfilesCommitted, Role::Normalizer),
    (CrashPoint::StoresEffectsCommitted, Role::Processor),
    (CrashPoint::OutboxPublished, Role::Processor),
];
/// The replies after which it cuts a worker.
const SMALL_SWEEP: [u64; 3] = [1, 2, 4];

pub(super) fn all() -> Vec<Fault<Deployment>> {
    let mut faults = Vec::new();
    for &point in CrashPoint::ALL {
        for &role in roles(point) {
            // Not the first request: then some were answered and some were not.
            let passages = if role == Role::Api { 3 } else { 1 };
            let fault = crash(role, point, format!("{point}:{passages}"));
            let small = SMALL.contains(&(point, role));
            faults.push(if small {
                fault.small_on_sqlite()
            } else {
                fault
            });
        }
    }
    for (point, role) in SWEPT {
        for replies in SWEEP {
            let crash_at = format!("{point}:1,{}:{replies}", CrashPoint::RedisReplied);
            let fault = crash(role, point, crash_at);
            let small = role == Role::Normalizer && SMALL_SWEEP.contains(&replies);
            faults.push(if small {
                fault.small_on_sqlite()
            } else {
                fault
            });
        }
    }
    faults
}

fn crash(role: Role, point: CrashPoint, crash_at: String) -> Fault<Deployment> {
    let way = Way::to(point);
    let name = format!("crash: {} at {crash_at}", role.name());
    let fault = Fault::new(name, move |round| inject(round, way, role, &crash_at));
    match way {
        Way::Requests => fault,
        Way::LateReplies => fault.with_events(EVENTS_OF_TRIES),
        Way::Backlog | Way::Inheritance | Way::SlowRedis | Way::Stop => {
            fault.burst().with_events(BACKLOG)
        }
    }
}

fn inject(round: &mut Round<'_>, way: Way, role: Role, crash_at: &str) -> Result<()> {
    match way {
        Way::Requests => {
            round.mill.worker(role)?.replace_armed(crash_at)?;
            round.send()?;
        }
        Way::LateReplies => {
            let worker = round.mill.worker(role)?;
            worker.replace_armed_with(crash_at, &[("LEASE_MS", LONG_LEASE_MS)])?;
            deliver_too_late(round, role, crash_at)?;
        }
        Way::Backlog | Way::Inheritance | Way::SlowRedis | Way::Stop => {
            leave_backlog(round, way, role)?;
            round.mill.worker(role)?.replace_armed(crash_at)?;
        }
    }
    if way == Way::Stop {
        stop_in_the_middle(round, role)?;
    }
    round.mill.worker(role)?.wait_crashed(crash_at)?;
    round.mill.let_pass();
    round.mill.worker(role)?.replace()
}

/// The worker waits for messages when the first ones come. If its read ends at just that moment, it
/// takes another try; so does a worker that settles, which reads nothing.
fn deliver_too_late(round: &mut Round<'_>, role: Role, crash_at: &str) -> Result<()> {
    round.mill.worker(role)?.wait_ready()?;
    for _ in 0..TRIES {
        round
            .mill
            .redis_proxy(role)?
            .set(ProxyMode::Delay(TOO_LATE));
        round.send()?;
        last(TOO_LATE);
        round.mill.let_pass();
        let worker = round.mill.worker(role)?;
        let crashed = eventually("a crash", RECOVERY, || {
            worker.says_crashed(crash_at).then_some(())
        });
        if crashed.is_ok() {
            break;
        }
    }
    Ok(())
}

/// Everything is sent and waits for a worker that is not there.
fn leave_backlog(round: &mut Round<'_>, way: Way, role: Role) -> Result<()> {
    round.mill.worker(role)?.process.kill()?;
    round.send_all()?;
    if role == Role::Processor {
        wait_normalized(round)?;
    }
    if way == Way::Inheritance {
        let worker = round.mill.worker(role)?;
        let first = format!("{}:1", CrashPoint::StageDelivered);
        worker.replace_armed(&first)?;
        worker.wait_crashed(&first)?;
    }
    if way == Way::SlowRedis {
        let proxy = round.mill.redis_proxy(role)?;
        proxy.set(ProxyMode::Delay(LATE));
    }
    Ok(())
}

/// Waits until the backlog is where the event-processors find it.
fn wait_normalized(round: &mut Round<'_>) -> Result<()> {
    eventually("all to be normalised", SOON, || {
        let group = group(round, &EventsRaw::INFO)?;
        (group.backlog() == 0).then_some(())
    })
}

/// Tells a worker to stop when it works on a batch and holds another.
fn stop_in_the_middle(round: &mut Round<'_>, role: Role) -> Result<()> {
    let topic = match role {
        Role::Processor => EventsNormalized::INFO,
        Role::Api | Role::Normalizer | Role::Flusher => EventsRaw::INFO,
    };
    eventually("two batches in hand", SOON, || {
        let group = group(round, &topic)?;
        (group.pending > TWO_BATCHES).then_some(())
    })?;
    round.mill.worker(role)?.process.signal("TERM")
}

fn group(round: &Round<'_>, topic: &TopicInfo) -> Option<GroupOverview> {
    let bus = round.mill.bus();
    let overview = round.mill.block_on(bus.overview(topic)).ok()?;
    overview.groups.into_iter().next()
}
