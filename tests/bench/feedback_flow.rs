//! The whole flow of feedback: from the bus by the batch store to documents and their events.

use std::time::Duration;

use anyhow::{Context as _, Result};
use bus::{Bus, BusSettings};
use clap::Parser;
use common::UnixMillis;
use common::messages::FeedbackReply;
use common::topics::{FeedbackCreatedTopic, FeedbackReplies, Topic as _};
use testkit::servers::{KafkaServer, MongoServer, WorkerProcess, eventually_async, free_address};
use tests::SqlServer;

use crate::measure::{Meter, Sample};
use crate::redis_server::{Persistence, Redis};

const ITEMS: u32 = 40_000;
/// Items of a call of the sender.
const CALL: usize = 500;
const AGENTS: u32 = 400;
const READY: Duration = Duration::from_mins(1);
const DONE: Duration = Duration::from_mins(3);
const PARTITIONS: &str = "12";

/// What is measured.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Way {
    pub(crate) name: &'static str,
    /// Whether the topics live on Kafka and the documents in MongoDB; else on Redis and in SQL.
    pub(crate) kafka_and_mongodb: bool,
    pub(crate) processes: usize,
}

/// Servers of one run, all of its own.
struct Servers {
    redis: Redis,
    sql: SqlServer,
    others: Option<(KafkaServer, MongoServer)>,
}

#[derive(Debug, Parser)]
struct Settings {
    #[command(flatten)]
    bus: BusSettings,
}

impl Servers {
    fn start(way: Way, sql: SqlServer) -> Result<Self> {
        let others = if way.kafka_and_mongodb {
            Some((KafkaServer::start()?, MongoServer::start()?))
        } else {
            None
        };
        let redis = Redis::start(Persistence::Aof)?;
        Ok(Self { redis, sql, others })
    }

    fn bus(&self) -> Result<Bus> {
        let mut arguments = vec!["bench", "--redis-url", self.redis.url()];
        if let Some((kafka, _)) = &self.others {
            arguments.extend(["--kafka-brokers", kafka.url()]);
            arguments.extend(["--kafka-partitions", PARTITIONS]);
        }
        Ok(Settings::try_parse_from(arguments)?.bus.open()?)
    }

    /// Of those servers that are one process.
    fn pids(&self) -> Result<Vec<u32>> {
        let mut pids = vec![self.redis.pid()?];
        if let Some((kafka, mongo)) = &self.others {
            pids.extend([kafka.pid()?, mongo.pid()?]);
        }
        Ok(pids)
    }

    fn flusher(&self) -> Result<WorkerProcess> {
        let (ops, database) = (free_address()?, self.sql.url());
        let mut variables = vec![
            ("OPS_ADDRESS", ops.as_str()),
            ("REDIS_URL", self.redis.url()),
            ("DATABASE_URL", &database),
            ("FEEDBACK_BATCH_TIME_MS", "1000"),
            ("FEEDBACK_WORKER_CHECK_INTERVAL_MS", "250"),
            ("LOG", "warn"),
        ];
        if let Some((kafka, mongo)) = &self.others {
            variables.extend([
                ("KAFKA_BROKERS", kafka.url()),
                ("KAFKA_PARTITIONS", PARTITIONS),
                ("MONGODB_URI", mongo.url()),
                ("MONGODB_DATABASE", "millrace_bench"),
            ]);
        }
        let mut flusher = WorkerProcess::start("feedback-flusher", &[], &variables)?;
        flusher.wait_ready(&ops, READY)?;
        Ok(flusher)
    }
}

/// One run on servers of its own: items per second from the first one sent to the last event.
pub(crate) async fn flow(way: Way, sql: SqlServer) -> Result<Sample> {
    let servers = Servers::start(way, sql)?;
    stores::Database::open(&servers.sql.url(), 1)?
        .migrate()
        .await
        .context("migrating")?;
    let started = (0..way.processes).map(|_| servers.flusher());
    let flushers = started.collect::<Result<Vec<_>>>()?;
    let bus = servers.bus()?;
    // The first items wait for groups to be formed and connections to be made.
    send(&bus, 0..AGENTS).await?;
    wait_told(&bus, u64::from(AGENTS)).await?;
    let programs: Vec<u32> = flushers.iter().map(WorkerProcess::pid).collect();
    let meter = Meter::start(&programs, &servers.pids()?)?;
    send(&bus, AGENTS..AGENTS + ITEMS).await?;
    wait_told(&bus, u64::from(AGENTS + ITEMS)).await?;
    meter.stop(ITEMS)
}

async fn send(bus: &Bus, numbers: std::ops::Range<u32>) -> Result<()> {
    let replies: Vec<FeedbackReply> = numbers.map(reply).collect();
    for call in replies.chunks(CALL) {
        bus.publish::<FeedbackReplies>(call).await?;
    }
    Ok(())
}

async fn wait_told(bus: &Bus, count: u64) -> Result<()> {
    let told = async || {
        let overview = bus.overview(&FeedbackCreatedTopic::INFO).await.ok()?;
        (overview.published >= count).then_some(())
    };
    eventually_async("all to be told of", DONE, told).await
}

fn reply(number: u32) -> FeedbackReply {
    FeedbackReply {
        agent_id: format!("agent-{}", number % AGENTS),
        room_id: "room-17".to_owned(),
        message_id: format!("message-{number}"),
        user_id: format!("user-{}", number % 97),
        text: "a reply that is about as long as replies are, some hundred characters".to_owned(),
        created_at: UnixMillis(1_767_225_600_000),
        feedback_id: None,
        rating: Some("5".to_owned()),
        extra: Vec::new(),
    }
}
