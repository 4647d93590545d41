//! A Redis server that dies, hangs, is full, or is told to do harm.

use std::time::Duration;

use anyhow::{Result, ensure};
use testkit::servers::eventually;

use super::Fault;
use crate::mill::Mill;
use crate::round::{Round, last};

/// How often connections are killed in a round, and how far apart.
const CLIENT_KILLS: u32 = 20;
const CLIENT_KILL_INTERVAL: Duration = Duration::from_millis(100);
const LOADED: Duration = Duration::from_secs(30);

pub(crate) fn all<M: Mill>() -> Vec<Fault<M>> {
    vec![
        Fault::new("redis: kill -9 and restart, twice", restart).small_on_sqlite(),
        Fault::new("redis: hangs (SIGSTOP)", hang).small_on_postgres(),
        Fault::new(
            "redis: CLIENT KILL of all connections, again and again",
            cut,
        )
        .small_on_sqlite(),
        Fault::new("redis: CLIENT PAUSE", pause).small_on_postgres(),
        Fault::new("redis: out of memory", fill).small_on_sqlite(),
        Fault::new("redis: SCRIPT FLUSH", forget_scripts),
        Fault::new("redis: FLUSHALL when idle, then new events", flush)
            .alone()
            .small_on_sqlite(),
    ]
}

fn restart<M: Mill>(round: &mut Round<'_, M>) -> Result<()> {
    for percent in [20, 60] {
        round.send_part(percent)?;
        round.mill.redis().kill()?;
        round.mill.redis().restart()?;
    }
    // The fault lasts until everything is read in again.
    eventually("redis to have loaded its data", LOADED, || {
        round.redis(&["PING"]).ok()
    })?;
    Ok(())
}

fn hang<M: Mill>(round: &mut Round<'_, M>) -> Result<()> {
    round.send_part(20)?;
    round.mill.redis().pause()?;
    last(round.scale.outage());
    round.mill.redis().resume()
}

fn cut<M: Mill>(round: &mut Round<'_, M>) -> Result<()> {
    round.send_part(20)?;
    for _ in 0..CLIENT_KILLS {
        round.redis(&["CLIENT", "KILL", "TYPE", "normal"])?;
        last(CLIENT_KILL_INTERVAL);
    }
    Ok(())
}

fn pause<M: Mill>(round: &mut Round<'_, M>) -> Result<()> {
    round.send_part(20)?;
    let outage = round.scale.outage();
    round.redis(&["CLIENT", "PAUSE", &outage.as_millis().to_string(), "ALL"])?;
    last(outage);
    Ok(())
}

fn fill<M: Mill>(round: &mut Round<'_, M>) -> Result<()> {
    round.send_part(20)?;
    round.redis(&["CONFIG", "SET", "maxmemory", "1mb"])?;
    let refused = round.redis(&["SET", "millrace:chaos:full", "1"]);
    ensure!(refused.is_err(), "redis is not full");
    last(round.scale.outage());
    round.redis(&["CONFIG", "SET", "maxmemory", "0"])?;
    Ok(())
}

fn forget_scripts<M: Mill>(round: &mut Round<'_, M>) -> Result<()> {
    for percent in [20, 40, 60, 80] {
        round.send_part(percent)?;
        round.redis(&["SCRIPT", "FLUSH"])?;
    }
    Ok(())
}

/// Everything is in SQL already; what Redis forgets is only history.
fn flush<M: Mill>(round: &mut Round<'_, M>) -> Result<()> {
    round.drain()?;
    round.redis(&["FLUSHALL"])?;
    round.baseline = round.mill.baseline()?;
    round.send_all()
}
