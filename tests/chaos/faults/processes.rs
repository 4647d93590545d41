//! Workers that are killed and stopped.

use std::time::Duration;

use anyhow::{Context as _, Result};

use super::Fault;
use crate::mill::Mill;
use crate::round::{Round, last};

/// Kills in one round.
const KILLS: usize = 4;
/// The longest time between two kills.
const LULL_MS: u64 = 700;

pub(crate) fn all<M: Mill>() -> Vec<Fault<M>> {
    vec![
        Fault::new("kill -9 of any worker, at random", kill_some)
            .small_on_sqlite()
            .small_on_mongodb(),
        Fault::new(
            "two of each worker, kill -9 of any, at random",
            |round: &mut Round<'_, M>| {
                round.mill.double()?;
                kill_some(round)
            },
        )
        .alone()
        .small_on_postgres(),
        Fault::new("SIGTERM of each worker, one after the other", stop_each).small_on_sqlite(),
    ]
}

fn kill_some<M: Mill>(round: &mut Round<'_, M>) -> Result<()> {
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

fn stop_each<M: Mill>(round: &mut Round<'_, M>) -> Result<()> {
    round.send_part(20)?;
    for worker in round.mill.all_workers() {
        worker.restart()?;
    }
    Ok(())
}
