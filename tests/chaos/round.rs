//! One round: a producer sends, a fault happens, everything is brought to an end and compared.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use fastrand::Rng;
use testkit::servers::{eventually, redis_cli};

use crate::faults::{Fault, Load};
use crate::findings::Findings;
use crate::mill::{Mill, Source as _};
use crate::producer::{Plan, Producer};
use crate::scale::Scale;
use crate::table::Row;

/// How long everything may take to be done after a fault is over.
const DRAINED: Duration = Duration::from_mins(2);
/// How long the sender may take to get on while a fault waits for it.
const PROGRESS: Duration = Duration::from_mins(3);
/// Between two requests of a steady sender.
const PACE: Duration = Duration::from_millis(20);
/// How many times the least number of events a steady sender sends at most.
const STEADY_FACTOR: u64 = 8;

/// What a fault can reach.
pub(crate) struct Round<'a, M: Mill> {
    pub(crate) mill: &'a mut M,
    pub(crate) random: &'a mut Rng,
    pub(crate) scale: Scale,
    /// What there was before the round.
    pub(crate) baseline: M::Baseline,
    /// Its name, by which what it sends is told from what others did.
    pub(crate) name: String,
    /// Says how long recovery took, when that is not the time until all is done.
    pub(crate) recovery: Option<Duration>,
    plan: Plan,
    producer: Option<Producer<M::Source>>,
}

impl<M: Mill> Round<'_, M> {
    /// Begins to send.
    pub(crate) fn send(&mut self) -> Result<()> {
        if self.producer.is_none() {
            // Not before: more workers may have been started for this round.
            let source = self.mill.source(&self.name)?;
            self.producer = Some(Producer::start(source, self.plan));
        }
        Ok(())
    }

    /// Begins to send and waits until a part of the least number of events was accepted.
    pub(crate) fn send_part(&mut self, percent: u64) -> Result<()> {
        self.send()?;
        let part = self.plan.at_least * percent / 100;
        let producer = self.producer.as_ref().context("nobody sends")?;
        eventually("the sender to get on", PROGRESS, || {
            (producer.sent() >= part || producer.has_ended()).then_some(())
        })
    }

    /// Sends everything, and waits for that.
    pub(crate) fn send_all(&mut self) -> Result<()> {
        self.send_part(100)
    }

    /// Runs `redis-cli` on the server itself.
    pub(crate) fn redis(&self, command: &[&str]) -> Result<String> {
        redis_cli(self.mill.redis().url(), command)
    }

    /// Waits until everything sent so far is done.
    pub(crate) fn drain(&self) -> Result<()> {
        let mut findings = Findings::default();
        self.mill.drain(&mut findings, DRAINED)?;
        ensure!(findings.stuck == 0, "{:?}", findings.notes);
        Ok(())
    }
}

/// Waits while a fault lasts.
pub(crate) fn last(duration: Duration) {
    let start = Instant::now();
    // The end of the waiting is what is waited for.
    eventually("the end of the fault", duration * 2, || {
        (start.elapsed() >= duration).then_some(())
    })
    .ok();
}

/// Runs one fault through; a failure is part of the row.
pub(crate) fn run<M: Mill>(
    mill: &mut M,
    fault: &Fault<M>,
    name: &str,
    (random, scale): (&mut Rng, Scale),
) -> Row {
    let mut row = Row {
        fault: fault.name.clone(),
        accepted: 0,
        findings: Findings::default(),
        recovery: Duration::ZERO,
        failure: None,
    };
    if let Err(error) = try_run(mill, (fault, name), (random, scale), &mut row) {
        row.failure = Some(format!("{error:#}"));
    }
    row
}

fn try_run<M: Mill>(
    mill: &mut M,
    (fault, name): (&Fault<M>, &str),
    (random, scale): (&mut Rng, Scale),
    row: &mut Row,
) -> Result<()> {
    let at_least = fault.events.unwrap_or(scale.events());
    let (at_most, pace) = match fault.load {
        Load::Burst => (at_least, Duration::ZERO),
        Load::Steady => (at_least * STEADY_FACTOR, PACE),
    };
    let plan = Plan {
        at_least,
        at_most,
        pace,
    };
    let mut round = Round {
        baseline: mill.baseline()?,
        mill,
        random,
        scale,
        name: name.to_owned(),
        recovery: None,
        plan,
        producer: None,
    };
    let injected = (fault.inject)(&mut round);
    let over = Instant::now();
    round.mill.let_pass();
    round.send()?;
    let producer = round.producer.take().context("nobody sent")?;
    let (baseline, recovery) = (round.baseline, round.recovery);
    let source = producer.finish().context("sending")?;
    row.accepted = source.accepted();
    mill.drain(&mut row.findings, DRAINED)?;
    row.recovery = recovery.unwrap_or_else(|| over.elapsed());
    mill.check(&source, &baseline, &mut row.findings)?;
    injected.context("bringing the fault about")?;
    mill.undouble()
}
