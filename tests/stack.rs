//! A whole Millrace: redis-server, a database, and the workers as they are deployed.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use bus::Bus;
use common::topics::{EventsNormalized, EventsRaw, Topic as _, TopicInfo};
use crash_points::CrashPoint;
use stores::{Analytics, Database, Features, Outbox, Profiles};
use testkit::servers::{RedisServer, WorkerProcess, eventually_async, free_address};

use crate::sql::SqlServer;

/// How long a worker may take to be ready; debug builds on a busy machine are slow.
const READY: Duration = Duration::from_mins(1);
/// The topics that the first flow must finish.
const TOPICS: [TopicInfo; 2] = [EventsRaw::INFO, EventsNormalized::INFO];

/// Servers and workers. What uses a server is dropped before it.
#[derive(Debug)]
pub struct Stack {
    /// Takes events in and normalises them.
    pub ingestion: WorkerProcess,
    /// Applies them.
    pub processors: WorkerProcess,
    /// Where events are posted to.
    pub api: String,
    variables: Vec<(String, String)>,
    ops: [String; 2],
    /// The event streams.
    pub redis: RedisServer,
    /// Profiles and features.
    pub sql: SqlServer,
}

impl Stack {
    /// Starts everything. `variables` are settings of the workers beside the usual ones.
    pub async fn start(
        redis: RedisServer,
        sql: SqlServer,
        variables: &[(&str, &str)],
    ) -> Result<Self> {
        let database = Database::open(&sql.url(), 2)?;
        database.migrate().await.context("migrating")?;
        let api = free_address()?;
        let ops = [free_address()?, free_address()?];
        let mut all: Vec<(String, String)> = [
            ("REDIS_URL", redis.url()),
            ("DATABASE_URL", &sql.url()),
            ("INGESTION_ADDRESS", &api),
            // Short, so that what a killed worker held is taken over within the test.
            ("LEASE_MS", "2000"),
            ("RETRY_BASE_MS", "100"),
            ("REDIS_TIMEOUT_MS", "2000"),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .to_vec();
        all.extend(
            variables
                .iter()
                .map(|(name, value)| ((*name).into(), (*value).into())),
        );
        let [ingestion_ops, processors_ops] = &ops;
        let ingestion = worker("ingestion", &all, ingestion_ops)?;
        let processors = worker("event-processors", &all, processors_ops)?;
        let mut stack = Self {
            ingestion,
            processors,
            api,
            variables: all,
            ops,
            redis,
            sql,
        };
        stack.wait_ready()?;
        Ok(stack)
    }

    /// Waits until both workers are ready.
    pub fn wait_ready(&mut self) -> Result<()> {
        let [ingestion_ops, processors_ops] = &self.ops;
        self.ingestion.wait_ready(ingestion_ops, READY)?;
        self.processors.wait_ready(processors_ops, READY)
    }

    /// Kills the ingestion worker in the middle of its work and starts another.
    pub fn replace_ingestion(&mut self) -> Result<()> {
        self.ingestion.kill()?;
        self.ingestion = worker("ingestion", &self.variables, &self.ops[0])?;
        self.ingestion.wait_ready(&self.ops[0], READY)
    }

    /// Kills the event processors in the middle of their work and starts others.
    pub fn replace_processors(&mut self) -> Result<()> {
        self.processors.kill()?;
        self.processors = worker("event-processors", &self.variables, &self.ops[1])?;
        self.processors.wait_ready(&self.ops[1], READY)
    }

    /// Has event processors take over that crash at a point, so many, one after the other. None run
    /// then, until they are replaced.
    pub fn crash_processors(&mut self, point: CrashPoint, times: usize) -> Result<()> {
        self.processors.kill()?;
        let mut armed = self.variables.clone();
        armed.push((crash_points::VARIABLE.to_owned(), format!("{point}:1")));
        for _ in 0..times {
            self.processors = worker("event-processors", &armed, &self.ops[1])?;
            self.processors.wait(READY)?;
            let log = self.processors.log();
            ensure!(log.contains("crashing at"), "it ended otherwise:\n{log}");
        }
        Ok(())
    }

    /// Another worker beside the first ones.
    pub fn another(&self, name: &str, variables: &[(&str, &str)]) -> Result<WorkerProcess> {
        let ops = free_address()?;
        let mut all = self.variables.clone();
        all.extend(
            variables
                .iter()
                .map(|(name, value)| ((*name).into(), (*value).into())),
        );
        let mut another = worker(name, &all, &ops)?;
        another.wait_ready(&ops, READY)?;
        Ok(another)
    }

    /// Waits until every accepted event is done or given up, and the outbox is empty.
    pub async fn wait_drained(&self, deadline: Duration) -> Result<()> {
        let bus = self.bus()?;
        let outbox = Outbox::new(self.database()?);
        let drained = eventually_async("the streams to drain", deadline, async || {
            for topic in &TOPICS {
                let overview = bus.overview(topic).await.ok()?;
                let backlog: u64 = overview
                    .groups
                    .iter()
                    .map(bus::GroupOverview::backlog)
                    .sum();
                if backlog > 0 || overview.groups.is_empty() {
                    return None;
                }
            }
            outbox.oldest(1).await.ok()?.is_empty().then_some(())
        });
        drained.await.with_context(|| {
            format!(
                "ingestion:\n{}\nprocessors:\n{}",
                self.ingestion.log(),
                self.processors.log()
            )
        })
    }

    /// The bus that the workers use.
    pub fn bus(&self) -> Result<Bus> {
        Ok(Bus::on_redis(self.redis.url(), Duration::from_secs(5))?)
    }

    /// The database that the workers use.
    pub fn database(&self) -> Result<Database> {
        Ok(Database::open(&self.sql.url(), 2)?)
    }

    /// The stores that the workers write.
    pub fn stores(&self) -> Result<(Profiles, Features, Analytics)> {
        let database = self.database()?;
        Ok((
            Profiles::new(database.clone()),
            Features::new(database.clone()),
            Analytics::new(database),
        ))
    }
}

fn worker(name: &str, variables: &[(String, String)], ops: &str) -> Result<WorkerProcess> {
    let mut variables: Vec<(&str, &str)> = variables
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .collect();
    variables.push(("OPS_ADDRESS", ops));
    WorkerProcess::start(name, &[], &variables)
}
