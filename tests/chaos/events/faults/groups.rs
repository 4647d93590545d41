//! Streams that lose their groups, and streams that are trimmed while somebody is behind.

use std::time::Duration;

use anyhow::Result;
use common::topics::{self, EventsNormalized, EventsRaw, Topic as _, TopicInfo};
use testkit::servers::eventually;

use super::Round;
use crate::events::Deployment;
use crate::faults::Fault;
use crate::worker::Role;

/// Finished messages that are kept here, so that little is enough to be trimmed.
const RETAINED: u64 = 50;
/// Messages that nobody has taken while their stream is trimmed.
const BEHIND: u64 = 600;
const SOON: Duration = Duration::from_secs(20);

pub(super) fn all() -> Vec<Fault<Deployment>> {
    vec![
        Fault::new("every group destroyed while running, three times", destroy).small_on_sqlite(),
        Fault::new("trimmed while the event-processors are down", |round| {
            trim_behind(round, Role::Processor)
        })
        .alone()
        .burst()
        .with_events(BEHIND)
        .small_on_sqlite(),
        Fault::new("trimmed while the normalizer is down", |round| {
            trim_behind(round, Role::Normalizer)
        })
        .alone()
        .burst()
        .with_events(BEHIND),
        Fault::new("trimmed again and again while everybody works", trim_often).small_on_postgres(),
    ]
}

fn destroy(round: &mut Round<'_>) -> Result<()> {
    for percent in [20, 50, 80] {
        round.send_part(percent)?;
        for topic in topics::ALL {
            if round.redis(&["EXISTS", topic.name])? == "0" {
                continue;
            }
            for group in topic.groups {
                round.redis(&["XGROUP", "DESTROY", topic.name, group])?;
            }
        }
    }
    Ok(())
}

/// What is delivered to a dead worker, and what is delivered to nobody, must survive.
fn trim_behind(round: &mut Round<'_>, role: Role) -> Result<()> {
    round.send_part(30)?;
    round.mill.worker(role)?.process.kill()?;
    round.send_all()?;
    // The samples that trimming goes by are taken in its own rounds.
    for _ in 0..3 {
        trim(round)?;
    }
    round.mill.worker(role)?.replace()
}

fn trim_often(round: &mut Round<'_>) -> Result<()> {
    for percent in (10..=100).step_by(5) {
        round.send_part(percent)?;
        trim(round)?;
    }
    Ok(())
}

fn trim(round: &Round<'_>) -> Result<()> {
    for topic in [EventsRaw::INFO, EventsNormalized::INFO] {
        let short = TopicInfo {
            retained: RETAINED,
            key: "number",
            home: topics::Home::Bus,
            ..topic
        };
        // The connection of the harness may have been killed by the fault before.
        eventually("a trim", SOON, || {
            let bus = round.mill.bus();
            round.mill.block_on(bus.trim(&short)).ok()
        })?;
    }
    Ok(())
}
