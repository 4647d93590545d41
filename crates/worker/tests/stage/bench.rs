//! A bus with stages at work on it, and waiting for what they bring about.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use bus::{Bus, GroupOverview, MessageId, RetryPolicy, SubscribeOptions};
use common::messages::DeadLetter;
use common::topics::DEAD_LETTER_SUFFIX;
use common::{Clock, Message as _, Topic as _, UnixMillis};
use testkit::servers::{RedisDatabase, eventually_async, redis_database};
use tokio::task::JoinHandle;
use worker::{CancellationToken, Health, Processor, Stage, SystemClock};

use crate::notes::{Notes, READERS, notes};

/// What takes longer than this is taken to happen never.
pub(crate) const SOON: Duration = Duration::from_secs(20);
/// A lease that a test can wait for.
pub(crate) const SHORT: Duration = Duration::from_millis(400);
const COMMAND_TIMEOUT: Duration = Duration::from_secs(5);
/// How far a test's clock goes on at each look.
const TICK_MS: i64 = 10;

/// Reads quickly, retries quickly, and takes over nothing from others.
pub(crate) fn options() -> SubscribeOptions {
    SubscribeOptions {
        read_wait: Duration::from_millis(50),
        lease: Duration::from_hours(1),
        retry: RetryPolicy {
            base: Duration::from_millis(80),
            cap: Duration::from_mins(1),
            deliveries_max: 5,
        },
        housekeeping_interval: Duration::from_millis(50),
        ..SubscribeOptions::default()
    }
}

/// [`options`] with a lease that a test can wait for.
pub(crate) fn short_lease() -> SubscribeOptions {
    SubscribeOptions {
        lease: SHORT,
        ..options()
    }
}

/// [`options`] with batches of so many.
pub(crate) fn batches_of(batch_max: usize) -> SubscribeOptions {
    SubscribeOptions {
        batch_max,
        ..options()
    }
}

/// A clock that stands still until it is told to go on.
#[derive(Debug)]
pub(crate) struct TestClock(AtomicI64);

impl TestClock {
    pub(crate) fn advance(&self) {
        self.0.fetch_add(TICK_MS, Ordering::Relaxed);
    }
}

impl Clock for TestClock {
    fn now(&self) -> UnixMillis {
        UnixMillis(self.0.load(Ordering::Relaxed))
    }
}

/// An empty bus.
pub(crate) struct Bench {
    pub(crate) bus: Bus,
    pub(crate) clock: Arc<dyn Clock>,
    /// Emptied when dropped.
    _database: Option<RedisDatabase>,
}

impl Bench {
    pub(crate) fn in_memory() -> Self {
        Self::with_clock(Arc::new(SystemClock))
    }

    /// In memory, at a time that only the test moves.
    pub(crate) fn out_of_time() -> (Self, Arc<TestClock>) {
        let clock = Arc::new(TestClock(AtomicI64::new(1_767_225_600_000)));
        let shared: Arc<dyn Clock> = Arc::<TestClock>::clone(&clock);
        (Self::with_clock(shared), clock)
    }

    fn with_clock(clock: Arc<dyn Clock>) -> Self {
        Self {
            bus: Bus::in_memory(Arc::clone(&clock)),
            clock,
            _database: None,
        }
    }

    pub(crate) fn on_redis() -> Result<Option<Self>> {
        let Some(database) = redis_database() else {
            return Ok(None);
        };
        let bench = Self::at(database.url())?;
        Ok(Some(Self {
            _database: Some(database),
            ..bench
        }))
    }

    /// On a server of the test's own.
    pub(crate) fn at(url: &str) -> Result<Self> {
        Ok(Self {
            bus: Bus::on_redis(url, COMMAND_TIMEOUT)?,
            clock: Arc::new(SystemClock),
            _database: None,
        })
    }

    pub(crate) async fn publish(&self, numbers: impl IntoIterator<Item = u32>) -> Result<()> {
        self.bus.publish::<Notes>(&notes(numbers)).await?;
        Ok(())
    }

    /// Starts a stage with this processor.
    pub(crate) fn run<P: Processor + Clone>(
        &self,
        options: SubscribeOptions,
        processor: &P,
    ) -> Running {
        let (health, stop) = (Health::default(), CancellationToken::new());
        let stage = Stage::new(
            &self.bus,
            options,
            processor.clone(),
            health.clone(),
            stop.clone(),
        );
        Running {
            health,
            stop,
            task: spawn(stage.run()),
        }
    }

    /// The group as it is now.
    pub(crate) async fn group(&self) -> Result<GroupOverview> {
        let groups = self.bus.overview(&Notes::INFO).await?.groups;
        let mut named = groups.into_iter().filter(|group| group.name == READERS);
        named.next().context("there is no group")
    }

    /// Waits until the group looks as wanted.
    pub(crate) async fn group_when(
        &self,
        what: &str,
        wanted: impl Fn(&GroupOverview) -> bool,
    ) -> Result<GroupOverview> {
        let look = async || self.group().await.ok().filter(&wanted);
        match eventually_async(what, SOON, look).await {
            Ok(group) => Ok(group),
            Err(error) => Err(error).context(format!("{:?}", self.group().await)),
        }
    }

    /// Waits until so many are done and nothing else is open or dead.
    pub(crate) async fn all_done(&self, count: u64) -> Result<()> {
        let group = self
            .group_when("all to be done", |group| group.done == count)
            .await?;
        ensure!(group.backlog() == 0 && group.dead == 0, "{group:?}");
        Ok(())
    }

    /// The only dead letter.
    pub(crate) async fn dead_letter(&self) -> Result<(String, DeadLetter)> {
        let mut letters = self.dead_letters().await?;
        ensure!(letters.len() == 1, "{letters:?}");
        letters.pop().context("no dead letter")
    }

    /// The dead letters, with the number of each note as it was published.
    pub(crate) async fn dead_letters(&self) -> Result<Vec<(String, DeadLetter)>> {
        let stream = format!("{}{DEAD_LETTER_SUFFIX}", Notes::INFO.name);
        let stored = self.bus.range(&stream, MessageId::ZERO, 100).await?;
        let letter = |fields| {
            let letter = DeadLetter::decode(fields)?;
            let mut fields = letter.extra.iter();
            let number = fields.find(|(name, _)| name == "number");
            let (_, number) = number.context("a dead letter without its fields")?;
            Ok((number.clone(), letter))
        };
        stored
            .into_iter()
            .map(|message| letter(message.fields))
            .collect()
    }
}

/// A stage at work; it is stopped when dropped.
pub(crate) struct Running {
    pub(crate) health: Health,
    pub(crate) stop: CancellationToken,
    task: JoinHandle<()>,
}

impl Running {
    /// Why the stage waits, as soon as it does.
    pub(crate) async fn waits(&self) -> Result<String> {
        let reason = async || self.health.reasons().remove(READERS);
        eventually_async("the stage to wait", SOON, reason).await
    }

    pub(crate) fn has_ended(&self) -> bool {
        self.task.is_finished()
    }

    /// Waits for the stage's end, which must be in order.
    pub(crate) async fn ended(mut self) -> Result<()> {
        let end = tokio::time::timeout(SOON, &mut self.task).await;
        end.context("waiting for the stage's end")?
            .context("running the stage")
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "a test has no worker whose task the stage could be; it ends with the test"
)]
fn spawn(stage: impl Future<Output = ()> + Send + 'static) -> JoinHandle<()> {
    tokio::spawn(stage)
}
