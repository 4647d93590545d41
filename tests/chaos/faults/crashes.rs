//! Workers that crash at every named step.

use std::time::Duration;

use anyhow::Result;
use bus::GroupOverview;
use common::topics::{EventsNormalized, EventsRaw, Topic as _, TopicInfo};
use crash_points::CrashPoint;
use testkit::servers::{ProxyMode, eventually};

use super::Fault;
use crate::round::{Round, last};
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
/// The largest number of Redis commands between which a worker is cut, beginning with its start.
const SWEEP: [u64; 10] = [22, 24, 25, 26, 27, 28, 29, 31, 33, 36];

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
            | CrashPoint::StageDelivered
            | CrashPoint::StageProcessed
            | CrashPoint::StageSettled
            | CrashPoint::StoresProfilesCommitting
            | CrashPoint::StoresProfilesCommitted
            | CrashPoint::StoresEffectsCommitting
            | CrashPoint::StoresEffectsCommitted
            | CrashPoint::OutboxPublished
            | CrashPoint::OutboxRemoved => Self::Backlog,
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
        CrashPoint::RedisReplied
        | CrashPoint::BusGroupOpened
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
fn is_small(point: CrashPoint, role: Role, passage: u64) -> bool {
    let wanted = [
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
    wanted.contains(&(point, role))
        || (point == CrashPoint::RedisReplied
            && role == Role::Normalizer
            && passage.is_multiple_of(4))
}

pub(super) fn all() -> Vec<Fault> {
    let mut faults = Vec::new();
    for &point in CrashPoint::ALL {
        let passages: &[u64] = match point {
            CrashPoint::RedisReplied => &SWEEP,
            // Not the first: then some are answered and some are not.
            CrashPoint::IngestionPublishing | CrashPoint::IngestionPublished => &[3],
            _ => &[1],
        };
        for &role in roles(point) {
            faults.extend(passages.iter().map(|&passage| crash(role, point, passage)));
        }
    }
    faults
}

fn crash(role: Role, point: CrashPoint, passage: u64) -> Fault {
    let way = Way::to(point);
    let name = format!("crash: {} at {point}:{passage}", role.name());
    let fault = Fault::new(name, move |round| {
        inject(round, way, role, (point, passage))
    });
    let fault = match way {
        Way::Requests | Way::LateReplies => fault,
        Way::Backlog | Way::Inheritance | Way::SlowRedis | Way::Stop => {
            fault.burst().with_events(BACKLOG)
        }
    };
    if is_small(point, role, passage) {
        fault.small_on_sqlite()
    } else {
        fault
    }
}

fn inject(
    round: &mut Round<'_>,
    way: Way,
    role: Role,
    (point, passage): (CrashPoint, u64),
) -> Result<()> {
    match way {
        Way::Requests => {
            round.mill.worker(role)?.replace_armed(point, passage)?;
            round.send();
        }
        Way::LateReplies => {
            round.mill.worker(role)?.replace_armed(point, passage)?;
            round.send_part(20)?;
            let proxy = round.mill.redis_proxy(role)?;
            proxy.set(ProxyMode::Delay(TOO_LATE));
            last(TOO_LATE);
            proxy.set(ProxyMode::Pass);
        }
        Way::Backlog | Way::Inheritance | Way::SlowRedis | Way::Stop => {
            leave_backlog(round, way, role)?;
            round.mill.worker(role)?.replace_armed(point, passage)?;
        }
    }
    if way == Way::Stop {
        stop_in_the_middle(round, role)?;
    }
    round.mill.worker(role)?.wait_crashed(point)?;
    round.mill.let_pass();
    round.mill.worker(role)?.replace()
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
        worker.replace_armed(CrashPoint::StageDelivered, 1)?;
        worker.wait_crashed(CrashPoint::StageDelivered)?;
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
        Role::Api | Role::Normalizer => EventsRaw::INFO,
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
