//! Everything that can break is broken while an independent producer sends; afterwards every
//! accepted event is counted exactly once, every message is accounted for, and nothing waits for
//! ever. A table at the end says what each fault came to.

#[path = "chaos/audit.rs"]
mod audit;
#[path = "chaos/deployment.rs"]
mod deployment;
#[path = "chaos/faults.rs"]
mod faults;
#[path = "chaos/producer.rs"]
mod producer;
#[path = "chaos/round.rs"]
mod round;
#[path = "chaos/scale.rs"]
mod scale;
#[path = "chaos/table.rs"]
mod table;
#[path = "chaos/worker.rs"]
mod worker;

use std::time::Instant;

use anyhow::{Result, ensure};
use fastrand::Rng;
use testkit::servers::{RedisServer, or_skip};
use tests::{SqlServer, sqlite};

use crate::deployment::Deployment;
use crate::faults::Fault;
use crate::scale::Scale;
use crate::table::{Row, say, table};

/// Lines of a worker's complaints that are shown after a fault that was not survived.
const COMPLAINTS_SHOWN: usize = 40;

/// The faults to be tried over one kind of database.
struct Chaos {
    name: &'static str,
    database: fn() -> Option<SqlServer>,
    scale: Scale,
    seed: u64,
    /// A developer asked for some of the faults only.
    only: Option<String>,
}

impl Chaos {
    fn over(name: &'static str, database: fn() -> Option<SqlServer>) -> Result<Self> {
        Ok(Self {
            name,
            database,
            scale: Scale::chosen()?,
            seed: scale::seed()?,
            only: scale::only(),
        })
    }

    fn start(&self) -> Result<Option<Deployment>> {
        let Some(redis) = or_skip("redis-server", RedisServer::start()) else {
            return Ok(None);
        };
        let Some(sql) = (self.database)() else {
            return Ok(None);
        };
        Deployment::start(redis, sql).map(Some)
    }

    /// Tries all faults and fails when one was not survived.
    fn survive(&self) -> Result<()> {
        ensure_armed()?;
        let Some(mill) = self.start()? else {
            return Ok(());
        };
        let mut faults = faults::all(self.scale, mill.sql_proxy.is_some());
        if let Some(only) = &self.only {
            faults.retain(|fault| fault.name.contains(only));
        }
        let Self {
            name, scale, seed, ..
        } = self;
        let count = faults.len();
        say(&format!(
            "chaos {name}: {scale:?}, {count} faults, CHAOS_SEED={seed}"
        ));
        let start = Instant::now();
        let rows = self.try_all(mill, &faults)?;
        let accepted: i64 = rows.iter().map(|row| row.accepted).sum();
        let took = start.elapsed().as_secs();
        let title = format!("chaos {name}: {accepted} events in {took} s, CHAOS_SEED={seed}");
        say(&table(&title, &rows));
        let clean = rows.iter().filter(|row| row.is_clean()).count();
        assert_eq!(clean, count, "some faults were not survived, see the table");
        assert!(self.only.is_some() || accepted >= scale.accepted_min());
        Ok(())
    }

    /// Each in a round of its own over the same servers.
    fn try_all(&self, mut mill: Deployment, faults: &[Fault]) -> Result<Vec<Row>> {
        let mut random = Rng::with_seed(self.seed);
        let (database, count) = (self.name, faults.len());
        let mut rows: Vec<Row> = Vec::with_capacity(count);
        for (number, fault) in (1..).zip(faults) {
            let start = Instant::now();
            let brand = format!("round-{number}");
            let row = round::run(&mut mill, fault, &brand, (&mut random, self.scale));
            let clean = row.is_clean();
            let verdict = if clean { "clean" } else { "NOT CLEAN" };
            let (name, accepted) = (&fault.name, row.accepted);
            let took = start.elapsed().as_secs_f64();
            say(&format!(
                "chaos {database} {number:>3}/{count} {name}: {verdict}, {accepted} events, {took:.1} s"
            ));
            rows.push(row);
            if !clean {
                show_complaints(&mut mill);
                // What this fault left behind is not the next one's.
                let Some(another) = self.start()? else { break };
                mill = another;
            }
        }
        audit::over_http(&mill)?;
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

fn show_complaints(mill: &mut Deployment) {
    for worker in mill.all_workers() {
        let complaints = worker.complaints();
        let (_, shown) = complaints.split_at(complaints.len().saturating_sub(COMPLAINTS_SHOWN));
        say(&shown.join("\n"));
    }
}

#[test]
fn everything_that_can_break_is_survived_on_sqlite() -> Result<()> {
    Chaos::over("sqlite", || or_skip("a folder", sqlite()))?.survive()
}

#[test]
fn everything_that_can_break_is_survived_on_postgres() -> Result<()> {
    Chaos::over("postgres", SqlServer::postgres)?.survive()
}
