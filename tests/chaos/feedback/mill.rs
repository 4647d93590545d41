//! What the harness must know of the flow of feedback.

use std::time::Duration;

use anyhow::Result;
use testkit::servers::{FaultProxy, ProxyMode, RedisServer};
use tests::SqlServer;

use super::audit::{self, Baseline};
use super::deployment::Deployment;
use super::faults;
use super::given::Given;
use crate::faults::Fault;
use crate::findings::Findings;
use crate::mill::{Backend, Before, Mill};
use crate::scale::Scale;
use crate::worker::Worker;

impl Mill for Deployment {
    type Source = Given;
    type Baseline = Baseline;

    fn faults(&self, scale: Scale) -> Vec<Fault<Self>> {
        faults::all(self.world, scale)
    }

    fn backend(&self) -> Backend {
        self.world.documents
    }

    fn accepted_min(&self, scale: Scale) -> i64 {
        match scale {
            Scale::Small => 1_000,
            Scale::Full => 20_000,
        }
    }

    fn baseline(&self) -> Result<Baseline> {
        Baseline::of(self)
    }

    fn source(&self, round: &str) -> Result<Given> {
        Given::of_round(round, self.agents, async || self.open_bus())
    }

    fn drain(&self, findings: &mut Findings, deadline: Duration) -> Result<()> {
        audit::drain(self, findings, deadline)
    }

    fn check(&self, source: &Given, before: &Baseline, findings: &mut Findings) -> Result<()> {
        audit::check(self, source, before, findings)
    }

    /// Each round has looked at everything.
    fn check_at_last(&self) -> Result<()> {
        Ok(())
    }

    fn all_workers(&mut self) -> Vec<&mut Worker> {
        self.flushers.iter_mut().chain(&mut self.seconds).collect()
    }

    fn double(&mut self) -> Result<()> {
        let more = self.start_flushers()?;
        self.seconds.extend(more);
        Ok(())
    }

    fn undouble(&mut self) -> Result<()> {
        for mut second in self.seconds.drain(..) {
            second.process.terminate(Duration::from_mins(1))?;
        }
        Ok(())
    }

    fn redis(&self) -> &RedisServer {
        let pair = self.pair.as_ref();
        pair.map_or(&self.streams, |pair| &pair.primary)
    }

    fn sql(&self) -> &SqlServer {
        &self.sql
    }

    fn proxies(&self, before: Before) -> Vec<&FaultProxy> {
        match before {
            Before::Redis => {
                let own = self.pair.iter().map(|pair| &pair.proxy);
                own.chain([&self.redis_proxy]).collect()
            }
            Before::Kafka => self.kafka.iter().map(|kafka| &kafka.proxy).collect(),
            Before::Sql | Before::MongoDb => self.documents_proxy.iter().collect(),
        }
    }

    fn let_pass(&self) {
        for before in [Before::Redis, Before::Kafka, Before::MongoDb] {
            for proxy in self.proxies(before) {
                proxy.set(ProxyMode::Pass);
            }
        }
        if let Some(unwilling) = &self.unwilling {
            unwilling.relent();
        }
    }
}
