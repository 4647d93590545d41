//! Workers that are killed, stopped, and that hang.

use std::time::Duration;

use anyhow::{Context as _, Result};

use super::Fault;
use crate::deployment::LEASE;
use crate::round::{Round, last};
use crate::worker::Role;

/// Kills in one round.
const KILLS: usize = 4;
/// The longest time between two kills.
const LULL_MS: u64 = 700;

pub(super) fn all() -> Vec<Fault> {
    let mut faults = vec![
        Fault::new("kill -9 of any worker, at random", kill_some).small_on_sqlite(),
        Fault::new("two of each worker, kill -9 of any, at random", |round| {
            round.mill.double()?;
            kill_some(round)
        })
        .alone()
        .small_on_postgres(),
        Fault::new("SIGTERM of each worker, one after the other", stop_each).small_on_sqlite(),
        Fault::new("two of each worker, one of each hangs", hang_beside)
            .alone()
            .small_on_postgres(),
    ];
    faults.extend(Role::ALL.map(|role| {
        let name = format!("{} hangs for longer than its lease", role.name());
        Fault::new(name, move |round| hang(round, role))
    }));
    faults
}

fn kill_some(round: &mut Round<'_>) -> Result<()> {
    round.send_part(20)?;
    for _ in 0..KILLS {
        let lull = round.random.u64(..LULL_MS);
        last(Duration::from_millis(lull));
        let mut workers = round.mill.all_workers();
        let victim = round.random.usize(..workers.len());
        workers
            .get_mut(victim)
            .context("nobody to kill")?
            .replace()?;
    }
    Ok(())
}

fn stop_each(round: &mut Round<'_>) -> Result<()> {
    round.send_part(20)?;
    for worker in round.mill.all_workers() {
        worker.restart()?;
    }
    Ok(())
}

fn hang(round: &mut Round<'_>, role: Role) -> Result<()> {
    round.send_part(20)?;
    round.mill.worker(role)?.process.pause()?;
    last(3 * LEASE);
    round.mill.worker(role)?.process.resume()
}

/// The others take over what the hanging ones hold; when these come back they believe that they
/// still hold it.
fn hang_beside(round: &mut Round<'_>) -> Result<()> {
    round.mill.double()?;
    round.send_part(20)?;
    for role in [Role::Normalizer, Role::Processor] {
        round.mill.worker(role)?.process.pause()?;
    }
    last(round.scale.hang());
    for role in [Role::Normalizer, Role::Processor] {
        round.mill.worker(role)?.process.resume()?;
    }
    Ok(())
}
