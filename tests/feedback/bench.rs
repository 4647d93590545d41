//! Flushers as processes, the servers they use, and what they have brought about.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use bus::{Bus, DeadLetter, MessageId};
use clap::Parser;
use common::messages::{FeedbackCreated, FeedbackReaction, FeedbackReply};
use common::topics::{FeedbackCreatedTopic, FeedbackReactions, FeedbackReplies};
use common::topics::{Topic as _, TopicInfo};
use common::{AgentId, Message as _};
use stores::{
    Database, FeedbackBatchSettings, FeedbackBatches, FeedbackDocuments, FeedbackDocumentsSettings,
    MongoSettings, RedisServers,
};
use testkit::servers::{
    MongoDatabase, RedisDatabase, WorkerProcess, eventually_async, free_address, http_get,
    mongo_database, redis_cli, redis_database,
};
use tests::{SqlServer, sqlite};
use worker::SystemClock;

/// What takes longer than this is taken to happen never; debug builds on a busy machine are slow.
pub(crate) const SOON: Duration = Duration::from_mins(3);
/// A batch time, or an interval, that no test lives to see.
pub(crate) const NEVER_MS: &str = "80000000";
const COMMAND_TIMEOUT: Duration = Duration::from_secs(5);
const TOPICS: [TopicInfo; 2] = [FeedbackReplies::INFO, FeedbackReactions::INFO];

/// A batch store, a document store and a bus, empty.
pub(crate) struct Bench {
    pub(crate) bus: Bus,
    pub(crate) documents: Arc<dyn FeedbackDocuments>,
    /// As the flushers see them, unless they are in a flusher's memory.
    pub(crate) batches: Arc<dyn FeedbackBatches>,
    pub(crate) sql: SqlServer,
    variables: BTreeMap<String, String>,
    /// Emptied when dropped.
    redis: RedisDatabase,
    _mongo: Option<MongoDatabase>,
}

/// A flusher at work.
pub(crate) struct Flusher {
    pub(crate) process: WorkerProcess,
    ops: String,
}

/// The settings of the stores.
#[derive(Debug, Parser)]
struct Stores {
    #[command(flatten)]
    redis: RedisServers,
    #[command(flatten)]
    batches: FeedbackBatchSettings,
    #[command(flatten)]
    documents: FeedbackDocumentsSettings,
    #[command(flatten)]
    mongo: MongoSettings,
}

impl Bench {
    /// Batches wait in Redis, documents are kept in SQLite.
    pub(crate) async fn redis_sqlite() -> Result<Option<Self>> {
        Self::on(sqlite()?, "redis").await
    }

    /// Batches wait in the flusher's memory.
    pub(crate) async fn memory_sqlite() -> Result<Option<Self>> {
        Self::on(sqlite()?, "memory").await
    }

    /// Documents are kept in PostgreSQL.
    pub(crate) async fn redis_postgres() -> Result<Option<Self>> {
        Self::on_postgres("redis").await
    }

    /// Both.
    pub(crate) async fn memory_postgres() -> Result<Option<Self>> {
        Self::on_postgres("memory").await
    }

    /// Batches wait in Redis, documents are kept in MongoDB.
    pub(crate) async fn redis_mongodb() -> Result<Option<Self>> {
        Self::on_mongodb("redis").await
    }

    /// Both are in MongoDB.
    pub(crate) async fn mongodb_mongodb() -> Result<Option<Self>> {
        Self::on_mongodb("mongodb").await
    }

    async fn on_mongodb(batch_store: &str) -> Result<Option<Self>> {
        match mongo_database() {
            Some(mongo) => Self::with(sqlite()?, Some(mongo), batch_store).await,
            None => Ok(None),
        }
    }

    async fn on_postgres(batch_store: &str) -> Result<Option<Self>> {
        match SqlServer::postgres() {
            Some(sql) => Self::on(sql, batch_store).await,
            None => Ok(None),
        }
    }

    async fn on(sql: SqlServer, batch_store: &str) -> Result<Option<Self>> {
        Self::with(sql, None, batch_store).await
    }

    /// `None` after a loud skip.
    async fn with(
        sql: SqlServer,
        mongo: Option<MongoDatabase>,
        batch_store: &str,
    ) -> Result<Option<Self>> {
        let Some(redis) = redis_database() else {
            return Ok(None);
        };
        let database = Database::open(&sql.url(), 2)?;
        database.migrate().await.context("migrating")?;
        let variables = [
            ("REDIS_URL", redis.url()),
            ("DATABASE_URL", &sql.url()),
            ("FEEDBACK_BATCH_STORE", batch_store),
            // Short, so that what a killed flusher held is taken over within the test.
            ("LEASE_MS", "1500"),
            ("FEEDBACK_FLUSH_LEASE_MS", "1000"),
            ("FEEDBACK_FLUSH_RETRY_BASE_MS", "100"),
            ("FEEDBACK_FLUSH_RETRY_CAP_MS", "1000"),
            // Nothing is flushed by its age unless the test is about that.
            ("FEEDBACK_BATCH_TIME_MS", NEVER_MS),
            ("FEEDBACK_WORKER_CHECK_INTERVAL_MS", "200"),
        ];
        let variables = variables.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let mut variables = BTreeMap::from(variables);
        let mut arguments = vec!["test", "--redis-url", redis.url()];
        arguments.extend(["--feedback-batch-store", batch_store]);
        if let Some(mongo) = &mongo {
            variables.insert("MONGODB_URI".to_owned(), mongo.url().to_owned());
            variables.insert("MONGODB_DATABASE".to_owned(), mongo.name().to_owned());
            arguments.extend(["--mongodb-uri", mongo.url()]);
            arguments.extend(["--mongodb-database", mongo.name()]);
        }
        let stores = Stores::try_parse_from(arguments)?;
        let clock = Arc::new(SystemClock);
        let documents = stores.documents.open(&stores.mongo, &database);
        documents
            .prepare()
            .await
            .context("preparing the documents")?;
        Ok(Some(Self {
            bus: Bus::on_redis(redis.url(), COMMAND_TIMEOUT)?,
            documents,
            batches: stores.batches.open(&stores.redis, &stores.mongo, clock)?,
            sql,
            variables,
            redis,
            _mongo: mongo,
        }))
    }

    /// Starts a flusher that may not live long enough to be ready.
    pub(crate) fn start(&self, own: &[(&str, &str)]) -> Result<Flusher> {
        let ops = free_address()?;
        let mut variables = self.variables.clone();
        variables.extend(
            own.iter()
                .map(|(name, value)| ((*name).into(), (*value).into())),
        );
        variables.insert("OPS_ADDRESS".to_owned(), ops.clone());
        let variables: Vec<(&str, &str)> = variables
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .collect();
        let process = WorkerProcess::start("feedback-flusher", &[], &variables)?;
        Ok(Flusher { process, ops })
    }

    /// [`Bench::start`], and it is ready.
    pub(crate) fn flusher(&self, own: &[(&str, &str)]) -> Result<Flusher> {
        let mut flusher = self.start(own)?;
        flusher.process.wait_ready(&flusher.ops, SOON)?;
        Ok(flusher)
    }

    pub(crate) async fn reply(&self, replies: &[FeedbackReply]) -> Result<()> {
        self.bus.publish::<FeedbackReplies>(replies).await?;
        Ok(())
    }

    pub(crate) async fn react(&self, reactions: &[FeedbackReaction]) -> Result<()> {
        self.bus.publish::<FeedbackReactions>(reactions).await?;
        Ok(())
    }

    /// Runs a command on the batches' Redis as a person would.
    pub(crate) fn cli(&self, command: &[&str]) -> Result<Vec<String>> {
        let answer = redis_cli(self.redis.url(), command)?;
        Ok(answer.lines().map(str::to_owned).collect())
    }

    /// Waits until a command answers so.
    pub(crate) async fn cli_answers(&self, command: &[&str], expected: &[&str]) -> Result<()> {
        let what = format!("{command:?} to answer {expected:?}");
        let answers = async || {
            let answer = self.cli(command).ok()?;
            (answer == expected).then_some(())
        };
        eventually_async(&what, SOON, answers).await
    }

    /// Waits until so many documents of an agent are kept.
    pub(crate) async fn kept(&self, agent: &str, count: u64) -> Result<()> {
        let id = AgentId::new(agent)?;
        let what = format!("{count} documents of {agent}");
        let kept = async || {
            let documents = self.documents.count(Some(&id)).await.ok()?;
            (documents == count).then_some(())
        };
        eventually_async(&what, SOON, kept).await
    }

    /// Waits until the flushers hold so many messages.
    pub(crate) async fn held(&self, count: u64) -> Result<()> {
        let held = async || {
            let mut pending = 0;
            for topic in &TOPICS {
                let overview = self.bus.overview(topic).await.ok()?;
                pending += overview.groups.first()?.pending;
            }
            (pending == count).then_some(())
        };
        eventually_async(&format!("{count} messages to be held"), SOON, held).await
    }

    /// Waits until every message is settled and nothing waits in a batch; then checks that there
    /// is one document and one event for each of so many pieces of feedback.
    pub(crate) async fn all_told(&self, count: usize) -> Result<()> {
        self.drained().await?;
        let documents = self.documents.count(None).await?;
        ensure!(
            usize::try_from(documents)? == count,
            "{documents} documents"
        );
        let events = self.created().await?;
        let ids: BTreeSet<_> = events.iter().map(|event| event.event_id).collect();
        ensure!(
            (events.len(), ids.len()) == (count, count),
            "{} events with {} ids instead of {count}",
            events.len(),
            ids.len()
        );
        Ok(())
    }

    /// Waits until every message is settled and nothing waits in a batch; the streams add up.
    pub(crate) async fn drained(&self) -> Result<()> {
        let drained = async || {
            for topic in &TOPICS {
                let overview = self.bus.overview(topic).await.ok()?;
                let group = overview.groups.first()?;
                if group.backlog() > 0 {
                    return None;
                }
            }
            if self.batches.overview(1).await.ok()?.total_items > 0 {
                return None;
            }
            let keys = self.cli(&["KEYS", "feedback:[bf][al]*"]).ok()?;
            keys.iter().all(String::is_empty).then_some(())
        };
        eventually_async("everything to be flushed", SOON, drained)
            .await
            .with_context(|| format!("left: {:?}", self.cli(&["KEYS", "feedback:*"])))?;
        for topic in &TOPICS {
            let audit = self.bus.overview(topic).await?.audit();
            ensure!(audit.is_balanced(), "{audit:?}");
        }
        Ok(())
    }

    /// The events that were published.
    pub(crate) async fn created(&self) -> Result<Vec<FeedbackCreated>> {
        let (mut events, mut from) = (Vec::new(), MessageId::ZERO);
        loop {
            let page = self.bus.range(FeedbackCreatedTopic::INFO.name, from, 500);
            let page = page.await?;
            let Some(last) = page.last() else {
                return Ok(events);
            };
            from = last.id.next();
            for message in page {
                events.push(FeedbackCreated::decode(message.fields)?);
            }
        }
    }

    /// Waits for so many dead letters of replies, of reactions; gives those of both.
    pub(crate) async fn letters(&self, count: usize) -> Result<Vec<DeadLetter>> {
        let letters = async || {
            let mut all = Vec::new();
            for topic in &TOPICS {
                let letters = self.bus.dead_letters(topic, MessageId::ZERO, 100).await;
                all.extend(letters.ok()?);
            }
            (all.len() == count).then_some(all)
        };
        eventually_async(&format!("{count} dead letters"), SOON, letters).await
    }
}

impl Flusher {
    /// How often it has said this.
    pub(crate) fn says(&self, text: &str) -> usize {
        self.process.log().matches(text).count()
    }

    /// How many batches it has flushed.
    pub(crate) fn flushes(&self) -> usize {
        self.says("flushed agent=")
    }

    /// The value of a series of its metrics; 0 if there is none.
    pub(crate) fn metric(&self, series: &str) -> Result<f64> {
        let text = http_get(&self.ops, "/metrics")?.body;
        let mut values = text.lines().filter_map(|line| line.strip_prefix(series));
        let value = values.next().map(|value| value.trim().parse());
        Ok(value.transpose()?.unwrap_or(0.0))
    }

    /// Waits until `/ready` says that it waits for this, or, with `None`, that it is ready.
    pub(crate) async fn waits_for(&self, what: Option<&str>) -> Result<()> {
        let waits = async || {
            let answer = http_get(&self.ops, "/ready").ok()?;
            let as_wanted = match what {
                Some(what) => answer.status == 503 && answer.body.contains(what),
                None => answer.status == 200,
            };
            as_wanted.then_some(())
        };
        let waited = eventually_async(&format!("/ready with {what:?}"), SOON, waits).await;
        waited.with_context(|| self.process.log())
    }

    /// Waits until it has crashed where it was told to.
    pub(crate) fn wait_crashed(&mut self) -> Result<()> {
        self.process.wait(SOON)?;
        let log = self.process.log();
        ensure!(log.contains("crashing at"), "it ended otherwise:\n{log}");
        Ok(())
    }

    /// Tells it to stop and waits for its end, which must be in order.
    pub(crate) fn stop(&mut self) -> Result<()> {
        self.process.signal("TERM")?;
        let status = self.process.wait(SOON)?;
        ensure!(status.success(), "{status}: {}", self.process.log());
        Ok(())
    }
}
