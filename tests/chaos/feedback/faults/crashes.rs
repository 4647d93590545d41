//! Flushers that crash at every named step of theirs.

use anyhow::Result;
use crash_points::CrashPoint;

use super::Round;
use crate::faults::Fault;
use crate::feedback::Deployment;
use crate::feedback::world::World;

/// Enough that some agents have several full batches.
const BACKLOG: u64 = 250;
/// Replies of Redis after which a flusher is cut, counted from a point on.
const SWEEP: [u64; 8] = [1, 2, 3, 4, 5, 6, 8, 11];
/// With these a flusher does everything in several parts.
const HALVES: [(&str, &str); 2] = [
    ("FEEDBACK_PUBLISH_MAX", "4"),
    ("FEEDBACK_DOCUMENTS_PER_COMMAND_MAX", "4"),
];
/// From where they are counted.
const SWEPT: [CrashPoint; 3] = [
    CrashPoint::StageDelivered,
    CrashPoint::FeedbackTaken,
    CrashPoint::FeedbackWritten,
];
/// One after the other, each in the recovery from the last.
const IN_A_ROW: [CrashPoint; 5] = [
    CrashPoint::FeedbackTaken,
    CrashPoint::FeedbackWritten,
    CrashPoint::FeedbackHalfPublished,
    CrashPoint::FeedbackPublished,
    CrashPoint::FeedbackFinished,
];
/// The crashes that every run of the tests tries.
const SMALL: [CrashPoint; 4] = [
    CrashPoint::StoresFeedbackAdded,
    CrashPoint::StoresFeedbackBetweenWrites,
    CrashPoint::FeedbackHalfPublished,
    CrashPoint::StageProcessed,
];

/// Who passes a point.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Passed {
    /// Every flusher that has a backlog.
    Always,
    /// Only where batches are kept outside of the flusher.
    WithAStoreThatRemembers,
    /// Flushers do not, or the flow of events tries it: it is the same code.
    Elsewhere,
}

fn passed(point: CrashPoint) -> Passed {
    match point {
        CrashPoint::BusReadDelivered
        | CrashPoint::BusSettleSending
        | CrashPoint::BusSettleSent
        | CrashPoint::StageDelivered
        | CrashPoint::StageProcessed
        | CrashPoint::StoresFeedbackBetweenWrites
        | CrashPoint::StoresFeedbackWritten
        | CrashPoint::FeedbackTaken
        | CrashPoint::FeedbackWritten
        | CrashPoint::FeedbackHalfPublished
        | CrashPoint::FeedbackPublished
        | CrashPoint::FeedbackFinished => Passed::Always,
        CrashPoint::StageSettled
        | CrashPoint::StoresFeedbackAdded
        | CrashPoint::StoresFeedbackTaken
        | CrashPoint::StoresFeedbackFinishing => Passed::WithAStoreThatRemembers,
        CrashPoint::IngestionPublishing
        | CrashPoint::IngestionPublished
        | CrashPoint::RedisReplied
        | CrashPoint::BusGroupOpened
        | CrashPoint::BusRecovered
        | CrashPoint::BusClaimed
        | CrashPoint::BusRenewed
        | CrashPoint::BusSettleBetween
        | CrashPoint::BusHandBackSending
        | CrashPoint::BusHandBackSent
        | CrashPoint::BusTrimmed
        | CrashPoint::BusMoveAside
        | CrashPoint::BusMoveCopied
        | CrashPoint::BusMoveDone
        | CrashPoint::StoresProfilesCommitting
        | CrashPoint::StoresProfilesCommitted
        | CrashPoint::StoresEffectsCommitting
        | CrashPoint::StoresEffectsCommitted
        | CrashPoint::OutboxPublished
        | CrashPoint::OutboxRemoved => Passed::Elsewhere,
    }
}

pub(super) fn all(world: World) -> Vec<Fault<Deployment>> {
    let mut faults = Vec::new();
    for &point in CrashPoint::ALL {
        let is_passed = match passed(point) {
            Passed::Always => true,
            Passed::WithAStoreThatRemembers => world.remembers(),
            Passed::Elsewhere => false,
        };
        if is_passed {
            let fault = crash(vec![format!("{point}:1")]);
            faults.push(if SMALL.contains(&point) {
                fault.small_on(world.documents)
            } else {
                fault
            });
        }
    }
    for point in SWEPT {
        for replies in SWEEP {
            let crash_at = format!("{point}:1,{}:{replies}", CrashPoint::RedisReplied);
            let fault = crash(vec![crash_at]);
            let small = point == CrashPoint::FeedbackTaken && replies == 2;
            faults.push(if small {
                fault.small_on_sqlite()
            } else {
                fault
            });
        }
    }
    let in_a_row = IN_A_ROW.iter().map(|point| format!("{point}:1"));
    faults.push(crash(in_a_row.collect()).small_on(world.documents));
    faults
}

fn crash(steps: Vec<String>) -> Fault<Deployment> {
    let name = format!("crash: at {}", steps.join(", then at "));
    let inject = move |round: &mut Round<'_>| inject(round, &steps);
    Fault::new(name, inject).burst().with_events(BACKLOG)
}

/// Each flusher finds what the last one left; the others are gone until the last has crashed.
fn inject(round: &mut Round<'_>, steps: &[String]) -> Result<()> {
    round.mill.kill_flushers()?;
    round.send_all()?;
    for crash_at in steps {
        let flusher = round.mill.flusher(0)?;
        flusher.replace_armed_with(crash_at, &HALVES)?;
        flusher.wait_crashed(crash_at)?;
    }
    round.mill.replace_flushers()
}
