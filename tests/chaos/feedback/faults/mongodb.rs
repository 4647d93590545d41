//! A MongoDB that dies, hangs, or is no primary any more.

use anyhow::{Context as _, Result, ensure};
use testkit::servers::{Refusal, eventually};

use super::Round;
use crate::faults::Fault;
use crate::feedback::Deployment;
use crate::round::last;
use std::time::Duration;

/// Commands that are refused until somebody says otherwise.
const ALL: u64 = u64::MAX;
const SOON: Duration = Duration::from_secs(30);

pub(super) fn all() -> Vec<Fault<Deployment>> {
    vec![
        Fault::new("mongodb: kill -9 and restart, twice", restart).small_on_mongodb(),
        Fault::new("mongodb: hangs (SIGSTOP)", hang),
        Fault::new(
            "mongodb: steps down for a while",
            |round: &mut Round<'_>| refuse_for_a_while(round, Refusal::SteppedDown),
        )
        .small_on_mongodb(),
        Fault::new(
            "mongodb: is no primary for a while",
            |round: &mut Round<'_>| refuse_for_a_while(round, Refusal::NotPrimary),
        ),
        Fault::new(
            "mongodb: steps down again and again after it has written",
            refuse_after_writing,
        )
        .small_on_mongodb(),
    ]
}

fn restart(round: &mut Round<'_>) -> Result<()> {
    for percent in [20, 60] {
        round.send_part(percent)?;
        let server = round.mill.mongo.as_ref().context("there is no MongoDB")?;
        server.kill()?;
        server.restart()?;
    }
    Ok(())
}

fn hang(round: &mut Round<'_>) -> Result<()> {
    round.send_part(20)?;
    let server = round.mill.mongo.as_ref().context("there is no MongoDB")?;
    server.pause()?;
    last(round.scale.outage());
    server.resume()
}

fn refuse_for_a_while(round: &mut Round<'_>, refusal: Refusal) -> Result<()> {
    round.send_part(20)?;
    let primary = round.mill.unwilling.as_ref();
    let primary = primary.context("there is no MongoDB")?;
    let before = primary.refused();
    primary.refuse(refusal, ALL);
    last(round.scale.outage());
    primary.relent();
    ensure!(primary.refused() > before, "nothing was refused");
    Ok(())
}

/// All of what it is asked to do is done, and nobody is told so.
fn refuse_after_writing(round: &mut Round<'_>) -> Result<()> {
    round.send_part(20)?;
    for percent in [20, 40, 60, 80] {
        round.send_part(percent)?;
        let primary = round.mill.unwilling.as_ref();
        let primary = primary.context("there is no MongoDB")?;
        let before = primary.refused();
        primary.refuse(Refusal::InterruptedAfter, 3);
        eventually("refusals", SOON, || {
            (primary.refused() >= before + 3).then_some(())
        })?;
    }
    Ok(())
}
