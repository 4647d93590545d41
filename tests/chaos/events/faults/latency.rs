//! No fault at all, and nothing to do: then one event must not wait for another's turn.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use testkit::servers::eventually;
use tests::{Differences, Sender};

use super::Round;
use crate::events::Deployment;
use crate::events::audit::Baseline;
use crate::events::sales::sale;
use crate::faults::Fault;

const EVENTS: u64 = 15;
/// From the request to the effect in SQL, in the median: far above what a busy machine needs, far
/// below the half second for which a reader waits on its connection.
const MEDIAN_MAX: Duration = Duration::from_millis(250);
const SOON: Duration = Duration::from_secs(20);
/// Whose events they are; the round's own come later.
const BRAND: &str = "one-at-a-time";

pub(super) fn one_at_a_time() -> Fault<Deployment> {
    Fault::new("no fault: one event at a time, median latency", measure)
        .small_on_sqlite()
        .small_on_postgres()
}

fn measure(round: &mut Round<'_>) -> Result<()> {
    let mut sender = Sender::to_any(&round.mill.apis(), BRAND, SOON);
    let stores = round.mill.stores();
    let mut latencies = Vec::new();
    for number in 0..EVENTS {
        let start = Instant::now();
        sender.send(&[sale(number)])?;
        eventually("an event to count", SOON, || {
            let compared = sender.ledger.compare(&stores, BRAND);
            (round.mill.block_on(compared).ok()? == Differences::default()).then_some(())
        })?;
        latencies.push(start.elapsed());
    }
    round.drain()?;
    round.baseline = Baseline::of(round.mill)?;
    latencies.sort_unstable();
    let median = *latencies.get(latencies.len() / 2).context("no latencies")?;
    round.recovery = Some(median);
    ensure!(
        median <= MEDIAN_MAX,
        "an event takes {median:?} in the median: {latencies:?}"
    );
    Ok(())
}
