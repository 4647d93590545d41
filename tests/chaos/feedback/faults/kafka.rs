//! A Kafka that dies or hangs, and groups that are never at rest.

use std::time::Duration;

use anyhow::{Context as _, Result};

use super::Round;
use crate::faults::Fault;
use crate::feedback::Deployment;
use crate::feedback::kafka::ProxiedKafka;
use crate::mill::Mill as _;
use crate::round::last;
use crate::scale::Scale;

/// Members that come and go while others work.
const RESTARTS: u32 = 16;
/// Between two of them.
const LULL: Duration = Duration::from_millis(300);

pub(super) fn all() -> Vec<Fault<Deployment>> {
    vec![
        Fault::new("kafka: kill -9 and restart, twice", restart).small_on_mongodb(),
        Fault::new("kafka: hangs (SIGSTOP)", hang),
    ]
}

/// Eight flushers, of which one after the other is killed or stopped in good order.
pub(super) fn storm_of_members(scale: Scale) -> Fault<Deployment> {
    let items = match scale {
        Scale::Small => 10_000,
        Scale::Full => 100_000,
    };
    Fault::new("kafka: eight members, restarted again and again", rebalance)
        .with_events(items)
        .burst()
        .alone()
}

fn server<'a>(round: &'a Round<'_>) -> Result<&'a ProxiedKafka> {
    round.mill.kafka.as_ref().context("there is no Kafka")
}

fn restart(round: &mut Round<'_>) -> Result<()> {
    for percent in [20, 60] {
        round.send_part(percent)?;
        let kafka = server(round)?;
        kafka.server.kill()?;
        kafka.server.restart()?;
    }
    Ok(())
}

fn hang(round: &mut Round<'_>) -> Result<()> {
    round.send_part(20)?;
    server(round)?.server.pause()?;
    last(round.scale.outage());
    server(round)?.server.resume()
}

fn rebalance(round: &mut Round<'_>) -> Result<()> {
    for _ in 0..3 {
        round.mill.double()?;
    }
    round.send()?;
    for number in 0..RESTARTS {
        last(LULL);
        let mut workers = round.mill.all_workers();
        let chosen = round.random.usize(..workers.len());
        let worker = workers.get_mut(chosen).context("no such worker")?;
        if number % 2 == 0 {
            worker.replace()?;
        } else {
            worker.restart()?;
        }
    }
    Ok(())
}
