//! Flushers as processes, as they are deployed, with a fault proxy before each server.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use bus::{Bus, BusSettings};
use clap::Parser;
use stores::{
    Database, FeedbackBatchSettings, FeedbackBatches, FeedbackDocuments, FeedbackDocumentsSettings,
    MongoSettings,
};
use testkit::servers::{
    FaultProxy, MongoServer, RedisServer, UnwillingPrimary, mongo_command, or_skip,
};
use tests::{SqlServer, sqlite};
use tokio::runtime::Runtime;
use worker::SystemClock;

use super::given::AGENTS;
use super::kafka::ProxiedKafka;
use super::redis_pair::RedisPair;
use super::world::World;
use crate::mill::Backend;
use crate::worker::{Role, Worker};

/// Of messages and of flushes; short, so that what a killed worker held is taken over within a round.
pub(crate) const LEASE: Duration = Duration::from_secs(1);
const FLUSHERS: usize = 2;
/// Of each topic on Kafka.
const PARTITIONS: &str = "32";
const DATABASE: &str = "millrace_chaos";

/// Servers, proxies and flushers. What uses a server is dropped before it.
pub(crate) struct Deployment {
    pub(crate) world: World,
    /// How many agents the next sender gives feedback on.
    pub(crate) agents: u64,
    pub(super) flushers: Vec<Worker>,
    /// More of them, for one round.
    pub(super) seconds: Vec<Worker>,
    variables: Vec<(String, String)>,
    bus: Bus,
    pub(super) documents: Arc<dyn FeedbackDocuments>,
    /// Between the flushers and the Redis of the bus.
    pub(super) redis_proxy: FaultProxy,
    /// Between the flushers and the server of the documents.
    pub(super) documents_proxy: Option<FaultProxy>,
    /// Between that proxy and MongoDB.
    pub(crate) unwilling: Option<UnwillingPrimary>,
    /// The Redis of the bus.
    pub(crate) streams: RedisServer,
    /// The Redis of the batches, if they have one of their own.
    pub(crate) pair: Option<RedisPair>,
    pub(super) sql: SqlServer,
    pub(crate) mongo: Option<MongoServer>,
    pub(crate) kafka: Option<ProxiedKafka>,
    runtime: Runtime,
}

/// What is started first.
struct Servers {
    streams: RedisServer,
    pair: Option<RedisPair>,
    sql: SqlServer,
    mongo: Option<MongoServer>,
    kafka: Option<ProxiedKafka>,
}

/// The settings of the bus and the stores.
#[derive(Debug, Parser)]
struct Settings {
    #[command(flatten)]
    bus: BusSettings,
    #[command(flatten)]
    batches: FeedbackBatchSettings,
    #[command(flatten)]
    documents: FeedbackDocumentsSettings,
    #[command(flatten)]
    mongo: MongoSettings,
}

impl Servers {
    /// `None` after a loud skip.
    fn start(world: World) -> Result<Option<Self>> {
        let Some(streams) = or_skip("redis-server", RedisServer::start()) else {
            return Ok(None);
        };
        let pair = if world.replicated {
            Some(RedisPair::start()?)
        } else {
            None
        };
        let (sql, mongo) = match world.documents {
            Backend::Sqlite => (sqlite().ok(), None),
            Backend::Postgres => (SqlServer::postgres(), None),
            Backend::MongoDb => match or_skip("MongoDB", MongoServer::start()) {
                Some(mongo) => (sqlite().ok(), Some(mongo)),
                None => return Ok(None),
            },
        };
        let kafka = match world.kafka.then(ProxiedKafka::start) {
            None => None,
            Some(kafka) => match or_skip("Kafka", kafka) {
                Some(kafka) => Some(kafka),
                None => return Ok(None),
            },
        };
        Ok(sql.map(|sql| Self {
            streams,
            pair,
            sql,
            mongo,
            kafka,
        }))
    }

    /// The Redis of the batches.
    fn batches(&self) -> &RedisServer {
        let pair = self.pair.as_ref();
        pair.map_or(&self.streams, |pair| &pair.primary)
    }
}

impl Deployment {
    /// `None` after a loud skip.
    pub(crate) fn start(world: World) -> Result<Option<Self>> {
        let Some(servers) = Servers::start(world)? else {
            return Ok(None);
        };
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let stores = stores(world, &servers)?;
        let (bus, documents) = runtime.block_on(async {
            let database = Database::open(&servers.sql.url(), 2)?;
            database.migrate().await.context("migrating")?;
            let documents = stores.documents.open(&stores.mongo, &database);
            documents.prepare().await.context("preparing documents")?;
            let bus = bus(&servers.streams, servers.kafka.as_ref())?;
            anyhow::Ok((bus, documents))
        })?;
        let unwilling = servers.mongo.as_ref();
        let unwilling = unwilling.map(|mongo| UnwillingPrimary::start(&mongo.address()));
        let unwilling = unwilling.transpose()?;
        let behind = match (&servers.sql, &unwilling) {
            (_, Some(unwilling)) => Some(unwilling.address().to_owned()),
            (SqlServer::Postgres(server), None) => Some(server.address()),
            (SqlServer::Sqlite(_), None) => None,
        };
        let mut deployment = Self {
            world,
            agents: AGENTS,
            flushers: Vec::new(),
            seconds: Vec::new(),
            variables: Vec::new(),
            bus,
            documents,
            redis_proxy: FaultProxy::start(&servers.streams.address())?,
            documents_proxy: behind
                .map(|address| FaultProxy::start(&address))
                .transpose()?,
            unwilling,
            streams: servers.streams,
            pair: servers.pair,
            sql: servers.sql,
            mongo: servers.mongo,
            kafka: servers.kafka,
            runtime,
        };
        deployment.variables = deployment.variables();
        deployment.flushers = deployment.start_flushers()?;
        Ok(Some(deployment))
    }

    /// What all flushers are told: everything is small and soon, so that all of it happens.
    fn variables(&self) -> Vec<(String, String)> {
        let lease_ms = LEASE.as_millis().to_string();
        let variables = [
            ("FEEDBACK_BATCH_STORE", self.world.batches),
            ("FEEDBACK_BATCH_TIME_MS", "500"),
            ("FEEDBACK_WORKER_CHECK_INTERVAL_MS", "100"),
            ("FEEDBACK_FLUSH_LEASE_MS", &lease_ms),
            ("FEEDBACK_FLUSH_RETRY_BASE_MS", "100"),
            ("FEEDBACK_FLUSH_RETRY_CAP_MS", "1000"),
            // What is in MongoDB's place does one thing after the other.
            ("FEEDBACK_FLUSH_CONCURRENCY", "4"),
            ("LEASE_MS", &lease_ms),
            ("RETRY_BASE_MS", "100"),
            ("REDIS_TIMEOUT_MS", "2000"),
            ("MONGODB_TIMEOUT_MS", "8000"),
            ("MONGODB_CONNECT_TIMEOUT_MS", "1000"),
            ("MONGODB_DATABASE", DATABASE),
            // With a store that forgets, each crash counts as a delivery of all that was held.
            (
                "MAX_DELIVERIES",
                if self.world.remembers() { "5" } else { "100" },
            ),
        ];
        let mut variables = variables
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .to_vec();
        let mut say = |name: &str, value: String| variables.push((name.to_owned(), value));
        say("REDIS_URL", redis_url(&self.redis_proxy));
        if let Some(kafka) = &self.kafka {
            say("KAFKA_BROKERS", kafka.proxy.address().to_owned());
            say("KAFKA_PARTITIONS", PARTITIONS.to_owned());
            say("KAFKA_TIMEOUT_MS", "5000".to_owned());
            say("KAFKA_SESSION_TIMEOUT_MS", "3000".to_owned());
        }
        if let Some(pair) = &self.pair {
            say("REDIS_FEEDBACK_URL", redis_url(&pair.proxy));
            say("FEEDBACK_WAIT_REPLICAS", "1".to_owned());
        }
        let url = match (&self.documents_proxy, &self.sql) {
            (Some(proxy), SqlServer::Postgres(server)) => {
                let (own, stand_in) = (server.address(), proxy.address());
                self.sql.url().replace(&own, stand_in)
            }
            (Some(proxy), SqlServer::Sqlite(_)) => {
                say("MONGODB_URI", format!("mongodb://{}", proxy.address()));
                self.sql.url()
            }
            (None, _) => self.sql.url(),
        };
        say("DATABASE_URL", url);
        variables
    }

    pub(super) fn start_flushers(&self) -> Result<Vec<Worker>> {
        let started = (0..FLUSHERS).map(|_| Worker::start(Role::Flusher, &self.variables));
        let mut flushers = started.collect::<Result<Vec<_>>>()?;
        for flusher in &mut flushers {
            flusher.wait_ready()?;
        }
        Ok(flushers)
    }

    /// One of the flushers that are always there.
    pub(crate) fn flusher(&mut self, number: usize) -> Result<&mut Worker> {
        self.flushers.get_mut(number).context("no such flusher")
    }

    /// Kills all flushers.
    pub(crate) fn kill_flushers(&mut self) -> Result<()> {
        let mut all = self.flushers.iter_mut().chain(&mut self.seconds);
        all.try_for_each(|flusher| flusher.process.kill())
    }

    /// Replaces all flushers.
    pub(crate) fn replace_flushers(&mut self) -> Result<()> {
        let mut all = self.flushers.iter_mut().chain(&mut self.seconds);
        all.try_for_each(Worker::replace)
    }

    /// The bus that the flushers use, past the proxy.
    pub(crate) fn bus(&self) -> Bus {
        self.bus.clone()
    }

    /// Another connection to it.
    pub(super) fn open_bus(&self) -> Result<Bus> {
        bus(&self.streams, self.kafka.as_ref())
    }

    /// What waits, as others than the flushers see it; always empty if only they know.
    pub(super) fn batches(&self) -> Result<Arc<dyn FeedbackBatches>> {
        let redis = self.pair.as_ref().map(|pair| pair.primary.url());
        let redis = redis.unwrap_or(self.streams.url());
        let mongo = self.mongo.as_ref().map(|mongo| mongo.url());
        let stores = Settings::of(self.world, redis, mongo)?;
        let clock = Arc::new(SystemClock);
        Ok(stores
            .batches
            .open(&stores.bus.redis, &stores.mongo, clock)?)
    }

    /// Runs a command on MongoDB, past the proxies.
    pub(super) fn ask_mongo(
        &self,
        command: &[(&str, serde_json::Value)],
    ) -> Result<serde_json::Value> {
        let mongo = self.mongo.as_ref().context("there is no MongoDB")?;
        mongo_command(mongo.url(), DATABASE, command)
    }

    pub(crate) fn block_on<T>(&self, future: impl Future<Output = T>) -> T {
        self.runtime.block_on(future)
    }
}

impl Settings {
    fn of(world: World, redis: &str, mongo: Option<&str>) -> Result<Self> {
        let mut arguments = vec!["chaos", "--redis-url", redis];
        arguments.extend(["--feedback-batch-store", world.batches]);
        arguments.extend(["--mongodb-database", DATABASE]);
        if let Some(mongo) = mongo {
            arguments.extend(["--mongodb-uri", mongo]);
        }
        Ok(Self::try_parse_from(arguments)?)
    }
}

fn bus(streams: &RedisServer, kafka: Option<&ProxiedKafka>) -> Result<Bus> {
    let mut arguments = vec!["chaos", "--redis-url", streams.url()];
    if let Some(kafka) = kafka {
        arguments.extend(["--kafka-brokers", kafka.proxy.address()]);
        arguments.extend(["--kafka-partitions", PARTITIONS]);
        arguments.extend(["--kafka-timeout-ms", "5000"]);
    }
    Ok(Settings::try_parse_from(arguments)?.bus.open()?)
}

fn stores(world: World, servers: &Servers) -> Result<Settings> {
    let mongo = servers.mongo.as_ref().map(|mongo| mongo.url());
    Settings::of(world, servers.batches().url(), mongo)
}

fn redis_url(proxy: &FaultProxy) -> String {
    format!("redis://{}", proxy.address())
}
