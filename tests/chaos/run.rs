//! A run: every fault in a round of its own, one after the other.

use std::time::Instant;

use anyhow::{Result, ensure};
use fastrand::Rng;

use crate::faults::Fault;
use crate::mill::Mill;
use crate::round;
use crate::scale::{self, Scale};
use crate::table::{Row, say, table};

/// Lines of a worker's complaints that are shown after a fault that was not survived.
const COMPLAINTS_SHOWN: usize = 40;

/// What is tried, and how.
pub(crate) struct Chaos {
    name: &'static str,
    scale: Scale,
    seed: u64,
    /// A developer asked for some of the faults only.
    only: Option<String>,
}

impl Chaos {
    pub(crate) fn new(name: &'static str) -> Result<Self> {
        Ok(Self {
            name,
            scale: Scale::chosen()?,
            seed: scale::seed()?,
            only: scale::only(),
        })
    }

    /// Tries all faults on what `start` starts, and fails when one was not survived.
    pub(crate) fn survive<M: Mill>(&self, start: impl Fn() -> Result<Option<M>>) -> Result<()> {
        ensure_armed()?;
        let Some(mill) = start()? else {
            return Ok(());
        };
        let faults = self.chosen(&mill);
        let accepted_min = mill.accepted_min(self.scale);
        let Self {
            name, scale, seed, ..
        } = self;
        let count = faults.len();
        say(&format!(
            "chaos {name}: {scale:?}, {count} faults, CHAOS_SEED={seed}"
        ));
        let begin = Instant::now();
        let rows = self.try_all(mill, &faults, start)?;
        let accepted: i64 = rows.iter().map(|row| row.accepted).sum();
        let took = begin.elapsed().as_secs();
        let title = format!("chaos {name}: {accepted} accepted in {took} s, CHAOS_SEED={seed}");
        say(&table(&title, &rows));
        let clean = rows.iter().filter(|row| row.is_clean()).count();
        assert_eq!(clean, count, "some faults were not survived, see the table");
        assert!(self.only.is_some() || accepted >= accepted_min);
        Ok(())
    }

    fn chosen<M: Mill>(&self, mill: &M) -> Vec<Fault<M>> {
        let mut faults = mill.faults(self.scale);
        let backend = mill.backend();
        faults.retain(|fault| self.scale == Scale::Full || fault.small.contains(&backend));
        if let Some(only) = &self.only {
            faults.retain(|fault| fault.name.contains(only));
        }
        faults
    }

    /// Each in a round of its own over the same servers.
    fn try_all<M: Mill>(
        &self,
        mut mill: M,
        faults: &[Fault<M>],
        start: impl Fn() -> Result<Option<M>>,
    ) -> Result<Vec<Row>> {
        let mut random = Rng::with_seed(self.seed);
        let (run, count) = (self.name, faults.len());
        let mut rows: Vec<Row> = Vec::with_capacity(count);
        for (number, fault) in (1..).zip(faults) {
            let begin = Instant::now();
            let round = format!("round-{number}");
            let row = round::run(&mut mill, fault, &round, (&mut random, self.scale));
            let clean = row.is_clean();
            let verdict = if clean { "clean" } else { "NOT CLEAN" };
            let (name, accepted) = (&fault.name, row.accepted);
            let took = begin.elapsed().as_secs_f64();
            say(&format!(
                "chaos {run} {number:>3}/{count} {name}: {verdict}, {accepted} accepted, {took:.1} s"
            ));
            rows.push(row);
            if !clean {
                show_complaints(&mut mill);
                // What this fault left behind is not the next one's.
                let Some(another) = start()? else { break };
                mill = another;
            }
        }
        mill.check_at_last()?;
        Ok(rows)
    }
}

/// A harness without armed workers would find nothing and say that all is well.
fn ensure_armed() -> Result<()> {
    ensure!(
        cfg!(feature = "crash-points"),
        "the workers cannot be armed: run this with --features tests/crash-points, as make test does"
    );
    Ok(())
}

fn show_complaints<M: Mill>(mill: &mut M) {
    for worker in mill.all_workers() {
        let complaints = worker.complaints();
        let (_, shown) = complaints.split_at(complaints.len().saturating_sub(COMPLAINTS_SHOWN));
        say(&shown.join("\n"));
    }
}
