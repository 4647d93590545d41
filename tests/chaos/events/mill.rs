//! What the harness must know of the flow of events.

use std::time::Duration;

use anyhow::Result;
use testkit::servers::{FaultProxy, ProxyMode, RedisServer};
use tests::SqlServer;

use super::audit::{self, Baseline};
use super::deployment::Deployment;
use super::faults;
use super::sales::Sales;
use crate::faults::Fault;
use crate::findings::Findings;
use crate::mill::{Backend, Before, Mill};
use crate::scale::Scale;
use crate::worker::Worker;

impl Mill for Deployment {
    type Source = Sales;
    type Baseline = Baseline;

    fn faults(&self, _scale: Scale) -> Vec<Fault<Self>> {
        faults::all(self.backend())
    }

    fn backend(&self) -> Backend {
        match self.sql {
            SqlServer::Sqlite(_) => Backend::Sqlite,
            SqlServer::Postgres(_) => Backend::Postgres,
        }
    }

    fn accepted_min(&self, scale: Scale) -> i64 {
        match scale {
            Scale::Small => 3_000,
            Scale::Full => 50_000,
        }
    }

    fn baseline(&self) -> Result<Baseline> {
        Baseline::of(self)
    }

    fn source(&self, round: &str) -> Result<Sales> {
        Ok(Sales::of_brand(round, &self.apis()))
    }

    fn drain(&self, findings: &mut Findings, deadline: Duration) -> Result<()> {
        audit::drain(self, findings, deadline)
    }

    fn check(&self, source: &Sales, before: &Baseline, findings: &mut Findings) -> Result<()> {
        audit::check(self, source, before, findings)
    }

    fn check_at_last(&self) -> Result<()> {
        audit::over_http(self)
    }

    fn all_workers(&mut self) -> Vec<&mut Worker> {
        self.workers.iter_mut().chain(&mut self.seconds).collect()
    }

    fn double(&mut self) -> Result<()> {
        self.seconds = self.one_of_each()?;
        Ok(())
    }

    fn undouble(&mut self) -> Result<()> {
        for mut second in self.seconds.drain(..) {
            second.process.terminate(Duration::from_mins(1))?;
        }
        Ok(())
    }

    fn redis(&self) -> &RedisServer {
        &self.redis
    }

    fn sql(&self) -> &SqlServer {
        &self.sql
    }

    fn proxies(&self, before: Before) -> Vec<&FaultProxy> {
        match before {
            Before::Redis => self.redis_proxies.values().collect(),
            Before::Sql => self.sql_proxy.iter().collect(),
            Before::Kafka | Before::MongoDb => Vec::new(),
        }
    }

    fn let_pass(&self) {
        for proxy in self.redis_proxies.values().chain(&self.sql_proxy) {
            proxy.set(ProxyMode::Pass);
        }
    }
}
