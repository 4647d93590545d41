//! The contract of the batches of feedback. Every case runs on every store; another store joins with
//! a function of [`Bench`] and a module in the macro.

#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a helper of a test fails with the test"
)]

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use anyhow::{Context as _, Result};
use clap::Parser as _;
use common::messages::FeedbackKind;
use common::{AgentId, Clock, UnixMillis};
use redis_link::Link;
use stores::{
    DueWhen, FeedbackBatchSettings, FeedbackBatches, FeedbackDocument, FeedbackItem, FlushLease,
    ItemOrigin, MemoryFeedbackBatches, MongoSettings, RedisBatchOptions, RedisFeedbackBatches,
    RedisServers, TakenBatch,
};
use testkit::servers::{
    MongoDatabase, RedisDatabase, eventually_async, mongo_command, mongo_database, redis_database,
};

/// Makes tests of the cases of a module, one on each store.
macro_rules! on_every_store {
    ($($case:ident,)*) => {
        on_stores_with_any_number_of_items! { $($case,)* }

        mod mongodb {
            $(#[tokio::test]
            async fn $case() -> anyhow::Result<()> {
                let Some(bench) = crate::Bench::on_mongodb()? else { return Ok(()) };
                super::$case(bench).await
            })*
        }
    };
}

/// As [`on_every_store`], without the one whose stand-in in tests reads all that waits, whatever it
/// looks for.
macro_rules! on_stores_with_any_number_of_items {
    ($($case:ident,)*) => {
        mod memory {
            $(#[tokio::test]
            async fn $case() -> anyhow::Result<()> {
                super::$case(crate::Bench::in_memory()).await
            })*
        }

        mod redis {
            $(#[tokio::test]
            async fn $case() -> anyhow::Result<()> {
                let Some(bench) = crate::Bench::on_redis()? else { return Ok(()) };
                super::$case(bench).await
            })*
        }
    };
}

#[path = "feedback_batches/adding.rs"]
mod adding;
#[path = "feedback_batches/concurrency.rs"]
mod concurrency;
#[path = "feedback_batches/due.rs"]
mod due;
#[path = "feedback_batches/generated.rs"]
mod generated;
#[path = "feedback_batches/large.rs"]
mod large;
#[path = "feedback_batches/leases.rs"]
mod leases;
#[path = "feedback_batches/redis_durability.rs"]
mod redis_durability;
#[path = "feedback_batches/redis_keys.rs"]
mod redis_keys;
#[path = "feedback_batches/redis_packed.rs"]
mod redis_packed;
#[path = "feedback_batches/redis_time.rs"]
mod redis_time;
#[path = "feedback_batches/redis_traps.rs"]
mod redis_traps;
#[path = "feedback_batches/taking.rs"]
mod taking;
#[path = "feedback_batches/viewing.rs"]
mod viewing;

const COMMAND_TIMEOUT: Duration = Duration::from_secs(10);
const SOON: Duration = Duration::from_secs(20);
/// Nothing in a test takes so long.
const LONG: Duration = Duration::from_hours(1);
/// Over at once, and long enough for a server that counts milliseconds.
const SHORT: Duration = Duration::from_millis(5);
const ITEMS_MAX: usize = 1_000_000;
const OPTIONS: RedisBatchOptions = RedisBatchOptions {
    plain_bytes_max: 65_536,
    replicas: 0,
    replicas_wait: Duration::from_secs(1),
};
/// Nothing is due by itself.
const NEVER: DueWhen = DueWhen {
    items: u64::MAX,
    age: LONG,
    urgent_age: LONG,
};
/// Every batch is due.
const ANY: DueWhen = DueWhen { items: 1, ..NEVER };

/// An empty store.
#[derive(Debug, Clone)]
struct Bench {
    batches: Arc<dyn FeedbackBatches>,
    /// Emptied when dropped.
    database: Option<Arc<RedisDatabase>>,
    /// Dropped when dropped.
    mongo: Option<Arc<MongoDatabase>>,
}

/// As a worker has them.
#[derive(clap::Parser)]
struct Settings {
    #[command(flatten)]
    batches: FeedbackBatchSettings,
    #[command(flatten)]
    redis: RedisServers,
    #[command(flatten)]
    mongo: MongoSettings,
}

impl Bench {
    fn in_memory() -> Self {
        Self {
            batches: Arc::new(MemoryFeedbackBatches::new(Arc::new(RealClock), ITEMS_MAX)),
            database: None,
            mongo: None,
        }
    }

    fn on_mongodb() -> Result<Option<Self>> {
        let Some(database) = mongo_database() else {
            return Ok(None);
        };
        let arguments = ["--feedback-batch-store", "mongodb", "--mongodb-uri"];
        let arguments = ["test"]
            .into_iter()
            .chain(arguments)
            .chain([database.url()]);
        let settings = Settings::try_parse_from(arguments)?;
        let clock = Arc::new(RealClock);
        let batches = settings
            .batches
            .open(&settings.redis, &settings.mongo, clock)?;
        Ok(Some(Self {
            batches,
            database: None,
            mongo: Some(Arc::new(database)),
        }))
    }

    fn on_redis() -> Result<Option<Self>> {
        let Some(database) = redis_database() else {
            return Ok(None);
        };
        Ok(Some(Self {
            batches: Arc::new(batches_at(database.url(), OPTIONS)?),
            database: Some(Arc::new(database)),
            mongo: None,
        }))
    }

    /// Asks the store's Redis.
    fn cli(&self, command: &[&str]) -> Result<String> {
        let database = self.database.as_ref().context("not on Redis")?;
        testkit::servers::redis_cli(database.url(), command)
    }

    async fn add(&self, items: &[FeedbackItem]) -> Result<()> {
        let added = self.batches.add(items).await?;
        assert_eq!(added.refused, [], "nothing is refused");
        Ok(())
    }

    /// Takes what waits; there has to be something.
    async fn take(
        &self,
        agent: &AgentId,
        length: Duration,
        items_max: usize,
    ) -> Result<TakenBatch> {
        let taken = self.batches.take(agent, &lease(length, items_max)).await?;
        taken.context("nothing to take")
    }

    /// Takes as soon as a lease or a wait is over.
    async fn take_eventually(&self, agent: &AgentId) -> Result<TakenBatch> {
        eventually_async("a batch", SOON, async || {
            self.take(agent, LONG, ITEMS_MAX).await.ok()
        })
        .await
    }

    async fn is_takeable(&self, agent: &AgentId) -> Result<bool> {
        let taken = self.batches.take(agent, &lease(LONG, ITEMS_MAX)).await?;
        Ok(taken.is_some())
    }

    /// Flushes everything, a few items at a time; gives the ids in the order in which they came out.
    async fn drain(&self, items_max: usize) -> Result<Vec<String>> {
        let mut drained = Vec::new();
        self.batches.request_flush(None).await?;
        loop {
            let due = self.batches.due(&ANY, 100).await?;
            if due.is_empty() {
                return Ok(drained);
            }
            for agent in due {
                let taken = self.take(&agent, LONG, items_max).await?;
                drained.extend(ids(&taken).into_iter().map(str::to_owned));
                assert!(self.batches.finish(&taken).await?);
            }
        }
    }

    /// Nothing is left of what was flushed.
    async fn assert_empty(&self) -> Result<()> {
        let overview = self.batches.overview(100).await?;
        assert_eq!((overview.total_batches, overview.total_items), (0, 0));
        if self.database.is_some() {
            assert_eq!(self.cli(&["KEYS", "*"])?, "");
        }
        if let Some(database) = &self.mongo {
            let count = [("count", "pending_feedback_batches".into())];
            let left = mongo_command(database.url(), database.name(), &count)?;
            assert_eq!(left["n"], 0);
        }
        Ok(())
    }
}

fn batches_at(url: &str, options: RedisBatchOptions) -> Result<RedisFeedbackBatches> {
    let link = Link::open(url, COMMAND_TIMEOUT)?;
    Ok(RedisFeedbackBatches::new(link, options))
}

fn agent(id: &str) -> AgentId {
    AgentId::new(id).expect("a valid id")
}

/// An item of an agent, known by its number.
fn item(agent_id: &str, number: usize) -> FeedbackItem {
    FeedbackItem {
        document: FeedbackDocument {
            feedback_id: number.to_string(),
            agent_id: agent(agent_id),
            kind: FeedbackKind::Reply,
            room_id: "room".to_owned(),
            message_id: format!("m-{number}"),
            user_id: "ann".to_owned(),
            text: Some("well \"done\"\n\u{1f44d}".to_owned()),
            rating: Some("5".to_owned()),
            reaction: None,
            created_at: UnixMillis(1_795_176_000_123),
            extra: vec![("language".to_owned(), "en".to_owned())],
        },
        urgent: false,
        origin: ItemOrigin {
            stream: "in".to_owned(),
            id: format!("{number}-0"),
            attempts: 1,
        },
    }
}

fn urgent(agent_id: &str, number: usize) -> FeedbackItem {
    FeedbackItem {
        urgent: true,
        ..item(agent_id, number)
    }
}

fn items(agent_id: &str, numbers: impl IntoIterator<Item = usize>) -> Vec<FeedbackItem> {
    let numbers = numbers.into_iter();
    numbers.map(|number| item(agent_id, number)).collect()
}

fn ids(taken: &TakenBatch) -> Vec<&str> {
    let items = taken.items.iter();
    items
        .map(|item| item.document.feedback_id.as_str())
        .collect()
}

fn numbers(range: impl IntoIterator<Item = usize>) -> Vec<String> {
    range.into_iter().map(|number| number.to_string()).collect()
}

fn set(ids: impl IntoIterator<Item = String>) -> BTreeSet<String> {
    ids.into_iter().collect()
}

/// A lease with a token of its own.
fn lease(length: Duration, items_max: usize) -> FlushLease {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    FlushLease {
        token: format!("token-{}", NEXT.fetch_add(1, Ordering::Relaxed)),
        length,
        items_max,
    }
}

/// The contract is about waiting, and Redis waits by its own clock: every store gets real time.
#[derive(Debug)]
struct RealClock;

impl Clock for RealClock {
    #[expect(
        clippy::disallowed_methods,
        reason = "this is the clock that others take"
    )]
    fn now(&self) -> UnixMillis {
        let elapsed = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        let millis = elapsed.map_or(0, |elapsed| elapsed.as_millis());
        UnixMillis(i64::try_from(millis).unwrap_or(i64::MAX))
    }
}
