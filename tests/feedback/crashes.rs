//! A flusher dies at every named step; whoever comes next finishes what it began.

use anyhow::{Result, ensure};
use crash_points::CrashPoint;

use crate::bench::{Bench, Flusher};
use crate::given::replies;

in_worlds! {
    redis_sqlite {
        a_flusher_that_crashes_at_any_step_is_followed_by_another,
        a_flusher_that_crashes_again_and_again_loses_nothing,
    }
    redis_postgres { a_flusher_that_crashes_at_any_step_is_followed_by_another, }
    redis_mongodb { a_flusher_that_crashes_at_any_step_is_followed_by_another, }
    mongodb_mongodb { a_flusher_that_crashes_at_any_step_is_followed_by_another, }
    memory_sqlite { a_flusher_that_crashes_and_forgets_is_followed_by_another, }
}

/// The steps of every flush.
const FLUSHING: [CrashPoint; 7] = [
    CrashPoint::FeedbackTaken,
    CrashPoint::StoresFeedbackWritten,
    CrashPoint::FeedbackWritten,
    CrashPoint::FeedbackHalfPublished,
    CrashPoint::FeedbackPublished,
    CrashPoint::FeedbackFinished,
    CrashPoint::StageProcessed,
];
/// Those of a batch store that remembers, and of documents that are written in parts.
const STORING: [CrashPoint; 6] = [
    CrashPoint::StageSettled,
    CrashPoint::BusSettleSent,
    CrashPoint::StoresFeedbackAdded,
    CrashPoint::StoresFeedbackTaken,
    CrashPoint::StoresFeedbackBetweenWrites,
    CrashPoint::StoresFeedbackFinishing,
];

/// A flusher that is to crash, and that does everything in halves.
fn armed(bench: &Bench, crash_at: &str) -> Result<Flusher> {
    ensure!(
        cfg!(feature = "crash-points"),
        "the workers cannot be armed: run this with --features tests/crash-points, as make test does"
    );
    bench.start(&[
        (crash_points::VARIABLE, crash_at),
        ("FEEDBACK_PUBLISH_MAX", "5"),
        ("FEEDBACK_DOCUMENTS_PER_COMMAND_MAX", "5"),
    ])
}

async fn crash_everywhere(bench: Bench, points: &[CrashPoint]) -> Result<()> {
    for (number, point) in points.iter().enumerate() {
        let agent = format!("agent-{number}");
        let mut crashing = armed(&bench, &format!("{point}:1"))?;
        bench.reply(&replies(&agent, 0..10)).await?;
        crashing.wait_crashed()?;
        let mut following = bench.flusher(&[("FEEDBACK_BATCH_TIME_MS", "500")])?;
        bench.kept(&agent, 10).await?;
        bench.all_told((number + 1) * 10).await?;
        following.stop()?;
    }
    Ok(())
}

async fn a_flusher_that_crashes_at_any_step_is_followed_by_another(bench: Bench) -> Result<()> {
    let points: Vec<CrashPoint> = FLUSHING.into_iter().chain(STORING).collect();
    crash_everywhere(bench, &points).await
}

async fn a_flusher_that_crashes_and_forgets_is_followed_by_another(bench: Bench) -> Result<()> {
    crash_everywhere(bench, &FLUSHING).await
}

async fn a_flusher_that_crashes_again_and_again_loses_nothing(bench: Bench) -> Result<()> {
    bench.reply(&replies("7", 0..10)).await?;
    for point in FLUSHING.into_iter().chain(FLUSHING) {
        if point == CrashPoint::FeedbackFinished || point == CrashPoint::StageProcessed {
            continue;
        }
        armed(&bench, &format!("{point}:1"))?.wait_crashed()?;
    }
    let _following = bench.flusher(&[])?;
    bench.all_told(10).await
}
