//! Flushers that hang.

use std::time::Duration;

use anyhow::Result;
use common::keys::FeedbackFlushKey;
use crash_points::CrashPoint;
use testkit::servers::{ProxyMode, eventually};

use super::Round;
use crate::faults::Fault;
use crate::feedback::Deployment;
use crate::feedback::deployment::LEASE;
use crate::feedback::given::{AGENTS, agent_name};
use crate::feedback::world::World;
use crate::mill::{Backend, Before, Mill as _};
use crate::round::last;

/// By what replies of the documents' server are late.
const LATE: Duration = Duration::from_millis(400);
const SOON: Duration = Duration::from_secs(30);

pub(super) fn all(world: World) -> Vec<Fault<Deployment>> {
    let mut faults = vec![
        Fault::new("a flusher hangs for longer than its leases", hang_one)
            .small_on_sqlite()
            .small_on_mongodb(),
        Fault::new(
            "every flusher hangs for longer than its leases",
            |round: &mut Round<'_>| {
                round.send_part(20)?;
                hang(round, &[0, 1])
            },
        ),
        Fault::new(
            "four flushers, two of them hang",
            |round: &mut Round<'_>| {
                round.mill.double()?;
                hang_one(round)?;
                hang(round, &[0, 1])
            },
        )
        .alone()
        .small_on_postgres(),
    ];
    if world.batches == "redis" && world.documents != Backend::Sqlite {
        let name = "a flusher hangs in a flush, the next one dies over the next batch";
        let fault = Fault::new(name, overlap).alone();
        faults.push(fault.small_on(world.documents));
    }
    faults
}

/// When the first one comes back, its batch is finished, and under the same name lies another one
/// that nobody works on: that is not for it to drop.
fn overlap(round: &mut Round<'_>) -> Result<()> {
    round.mill.flusher(1)?.process.kill()?;
    for proxy in round.mill.proxies(Before::Sql) {
        proxy.set(ProxyMode::Delay(LATE));
    }
    round.mill.agents = 1;
    let sending = round.send();
    round.mill.agents = AGENTS;
    sending?;
    let agent_id = agent_name(&round.name, 0);
    let says = format!("flushed agent={agent_id} ");
    let key = FeedbackFlushKey { agent_id }.to_string();
    eventually("a flush", SOON, || {
        (round.redis(&["EXISTS", &key]).ok()? == "1").then_some(())
    })?;
    round.mill.flusher(0)?.process.pause()?;
    round.mill.let_pass();
    let crash_at = format!("{}:2", CrashPoint::FeedbackTaken);
    let next = round.mill.flusher(1)?;
    next.replace_armed(&crash_at)?;
    next.wait_crashed(&crash_at)?;
    round.mill.flusher(0)?.process.resume()?;
    let first = round.mill.flusher(0)?;
    eventually("the first one to finish", SOON, || {
        first.process.log().contains(&says).then_some(())
    })?;
    round.mill.flusher(1)?.replace()
}

/// The other takes over what it holds; when it comes back it believes that it still holds it.
fn hang_one(round: &mut Round<'_>) -> Result<()> {
    round.send_part(20)?;
    hang(round, &[0])
}

fn hang(round: &mut Round<'_>, which: &[usize]) -> Result<()> {
    for &number in which {
        round.mill.flusher(number)?.process.pause()?;
    }
    last(3 * LEASE);
    for &number in which {
        round.mill.flusher(number)?.process.resume()?;
    }
    Ok(())
}
