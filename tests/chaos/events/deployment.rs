//! A Millrace of real processes, as it is deployed, with a fault proxy before each server.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context as _, Result};
use bus::Bus;
use stores::{Analytics, Database, Features, Outbox, Profiles};
use testkit::servers::{FaultProxy, RedisServer};
use tests::SqlServer;
use tokio::runtime::Runtime;

use crate::worker::{Role, Worker};

/// For the harness itself, which asks the servers past the proxies.
const COMMAND_TIMEOUT: Duration = Duration::from_secs(5);
/// Short, so that what a killed worker held is taken over within a round.
pub(crate) const LEASE: Duration = Duration::from_secs(1);

/// Servers, proxies and workers. What uses a server is dropped before it.
pub(crate) struct Deployment {
    /// One of each role, in the order of the roles.
    pub(super) workers: Vec<Worker>,
    /// More of them, for one round.
    pub(super) seconds: Vec<Worker>,
    variables: Vec<(String, String)>,
    bus: Bus,
    database: Database,
    /// Between the workers and Redis, one for each role.
    pub(super) redis_proxies: BTreeMap<Role, FaultProxy>,
    /// Between the workers and PostgreSQL.
    pub(crate) sql_proxy: Option<FaultProxy>,
    pub(crate) redis: RedisServer,
    pub(crate) sql: SqlServer,
    runtime: Runtime,
}

impl Deployment {
    pub(crate) fn start(redis: RedisServer, sql: SqlServer) -> Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let (bus, database) = runtime.block_on(async {
            let database = Database::open(&sql.url(), 2)?;
            database.migrate().await.context("migrating")?;
            anyhow::Ok((Bus::on_redis(redis.url(), COMMAND_TIMEOUT)?, database))
        })?;
        let proxies = Role::OF_EVENTS.map(|role| Ok((role, FaultProxy::start(&redis.address())?)));
        let redis_proxies: BTreeMap<_, _> = proxies.into_iter().collect::<Result<_>>()?;
        let (sql_proxy, database_url) = match &sql {
            SqlServer::Sqlite(_) => (None, sql.url()),
            SqlServer::Postgres(server) => {
                let proxy = FaultProxy::start(&server.address())?;
                let url = sql.url().replace(&server.address(), proxy.address());
                (Some(proxy), url)
            }
        };
        let lease_ms = LEASE.as_millis().to_string();
        let variables = [
            ("DATABASE_URL", database_url.as_str()),
            ("LEASE_MS", &lease_ms),
            ("RETRY_BASE_MS", "100"),
            ("REDIS_TIMEOUT_MS", "2000"),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .to_vec();
        let mut deployment = Self {
            workers: Vec::new(),
            seconds: Vec::new(),
            variables,
            bus,
            database,
            redis_proxies,
            sql_proxy,
            redis,
            sql,
            runtime,
        };
        deployment.workers = deployment.one_of_each()?;
        Ok(deployment)
    }

    pub(super) fn one_of_each(&self) -> Result<Vec<Worker>> {
        let started = Role::OF_EVENTS.map(|role| self.start_worker(role));
        let mut workers = started.into_iter().collect::<Result<Vec<_>>>()?;
        for worker in &mut workers {
            worker.wait_ready()?;
        }
        Ok(workers)
    }

    fn start_worker(&self, role: Role) -> Result<Worker> {
        let (url, address) = (self.redis.url(), self.redis.address());
        let url = url.replace(&address, self.redis_proxy(role)?.address());
        let mut variables = self.variables.clone();
        variables.push(("REDIS_URL".to_owned(), url));
        Worker::start(role, &variables)
    }

    /// What stands between the workers of a role and Redis.
    pub(crate) fn redis_proxy(&self, role: Role) -> Result<&FaultProxy> {
        self.redis_proxies
            .get(&role)
            .context("a role without a proxy")
    }

    /// The first worker of a role.
    pub(crate) fn worker(&mut self, role: Role) -> Result<&mut Worker> {
        let mut workers = self.workers.iter_mut();
        workers
            .find(|worker| worker.role == role)
            .context("a role without a worker")
    }

    /// Where events may be posted to.
    pub(crate) fn apis(&self) -> Vec<String> {
        let workers = self.workers.iter().chain(&self.seconds);
        workers
            .filter(|worker| worker.role == Role::Api)
            .map(|worker| worker.api.clone())
            .collect()
    }

    /// The bus that the workers use, past the proxy.
    pub(crate) fn bus(&self) -> Bus {
        self.bus.clone()
    }

    /// The stores that the workers write, past the proxy.
    pub(crate) fn stores(&self) -> (Profiles, Features, Analytics) {
        (
            Profiles::new(self.database.clone()),
            Features::new(self.database.clone()),
            Analytics::new(self.database.clone()),
        )
    }

    pub(crate) fn outbox(&self) -> Outbox {
        Outbox::new(self.database.clone())
    }

    pub(crate) fn block_on<T>(&self, future: impl Future<Output = T>) -> T {
        self.runtime.block_on(future)
    }
}
