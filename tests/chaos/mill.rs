//! What the harness must know of what it breaks.

use std::ops::Range;
use std::time::Duration;

use anyhow::Result;
use testkit::servers::{FaultProxy, RedisServer};
use tests::SqlServer;

use crate::faults::Fault;
use crate::findings::Findings;
use crate::scale::Scale;
use crate::worker::Worker;

/// A deployment of real processes and servers, with proxies between them.
pub(crate) trait Mill: Sized + 'static {
    /// Who sends what a round sends, and knows what was accepted.
    type Source: Source;
    /// What there was before a round.
    type Baseline: Clone;

    /// The faults it must survive.
    fn faults(&self, scale: Scale) -> Vec<Fault<Self>>;

    /// Which of them every run of the tests tries.
    fn backend(&self) -> Backend;

    /// How much must have been accepted in all rounds of a run.
    fn accepted_min(&self, scale: Scale) -> i64;

    /// What there is now.
    fn baseline(&self) -> Result<Self::Baseline>;

    /// Who sends in the round of that name.
    fn source(&self, round: &str) -> Result<Self::Source>;

    /// Waits until everything accepted is done or given up; what never is becomes a finding. While
    /// it waits, no message may be unaccounted for at any moment.
    fn drain(&self, findings: &mut Findings, deadline: Duration) -> Result<()>;

    /// Compares everything that there is after a round with what was accepted in it.
    fn check(
        &self,
        source: &Self::Source,
        before: &Self::Baseline,
        findings: &mut Findings,
    ) -> Result<()>;

    /// What else must hold after all rounds.
    fn check_at_last(&self) -> Result<()>;

    /// All workers, those for one round as well.
    fn all_workers(&mut self) -> Vec<&mut Worker>;

    /// More workers of each kind, until the end of the round.
    fn double(&mut self) -> Result<()>;

    /// Ends these in good order.
    fn undouble(&mut self) -> Result<()>;

    /// The Redis that is broken.
    fn redis(&self) -> &RedisServer;

    /// The SQL database that is broken.
    fn sql(&self) -> &SqlServer;

    /// What stands before a server.
    fn proxies(&self, before: Before) -> Vec<&FaultProxy>;

    /// Nothing stands in the way any more.
    fn let_pass(&self);
}

/// Who sends, and knows what was accepted.
pub(crate) trait Source: Send + 'static {
    /// What is sent at once.
    const BATCH: u64;
    /// What is sent in a round at most.
    const MOST: u64;

    /// Sends what has these numbers until it is accepted.
    fn send(&mut self, numbers: Range<u64>) -> Result<()>;

    /// How much was accepted.
    fn accepted(&self) -> i64;
}

/// What the effects are kept in, by which the faults of small runs are spread.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Backend {
    Sqlite,
    Postgres,
    MongoDb,
}

/// Before which server a network is bad.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Before {
    Redis,
    Kafka,
    Sql,
    MongoDb,
}

impl Before {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Redis => "redis",
            Self::Kafka => "kafka",
            Self::Sql => "postgres",
            Self::MongoDb => "mongodb",
        }
    }
}
