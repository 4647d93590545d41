//! What the ledger remembers for dead letters, as days go by.

use std::sync::atomic::{AtomicI64, Ordering};

use anyhow::{Context as _, Result, ensure};
use bus::{Settlement, SubscribeOptions};
use common::messages::{DeadLetter, REDRIVEN_FROM};
use common::time::HOUR_MS;
use common::topics::TopicInfo;
use common::{BrandId, EventId, EventType, Topic};
use stores::{Database, EventFact, PredictionPolicy};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

use super::*;

const START: i64 = 1_795_176_000_000;
const STAGE: &str = groups::EVENT_PROCESSORS;
const TOPIC: TopicInfo = EventsNormalized::INFO;

/// The topic, for messages that are nothing but there.
struct Anything;

impl Topic for Anything {
    type Message = DeadLetter;
    const INFO: TopicInfo = TOPIC;
}

struct Letters;

impl Topic for Letters {
    type Message = DeadLetter;
    const INFO: TopicInfo = TopicInfo {
        name: "events.normalized.dlq",
        groups: &[],
        retained: 0,
        key: "number",
        home: common::topics::Home::Bus,
    };
}

/// A clock that stands still.
#[derive(Debug)]
struct TestClock(AtomicI64);

impl Clock for TestClock {
    fn now(&self) -> UnixMillis {
        UnixMillis(self.0.load(Ordering::Relaxed))
    }
}

struct Bench {
    pruner: LedgerPruner,
    clock: Arc<TestClock>,
    _folder: TempDir,
}

/// A letter of the message of this id, which was published under `first` before, or is new.
fn letter(id: &str, first: Option<&str>) -> DeadLetter {
    let first = first.map(|first| (REDRIVEN_FROM.to_owned(), first.to_owned()));
    let content = ("surprise".to_owned(), "1".to_owned());
    DeadLetter {
        reason: "deliveries_exhausted".to_owned(),
        error: String::new(),
        stream: TOPIC.name.to_owned(),
        id: id.to_owned(),
        group: STAGE.to_owned(),
        attempts: 5,
        first_failed_at: UnixMillis(START),
        failed_at: UnixMillis(START),
        worker: "host-1".to_owned(),
        part: None,
        extra: [content].into_iter().chain(first).collect(),
    }
}

impl Bench {
    async fn start() -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let file = folder.path().join("millrace.db");
        let database = Database::open(&format!("sqlite://{}?mode=rwc", file.display()), 1)?;
        database.migrate().await?;
        let clock = Arc::new(TestClock(AtomicI64::new(START)));
        let time: Arc<dyn Clock> = Arc::<TestClock>::clone(&clock);
        let bus = Bus::in_memory(Arc::clone(&time));
        let features = Features::new(database);
        Ok(Self {
            pruner: LedgerPruner::new(bus, features, time),
            clock,
            _folder: folder,
        })
    }

    fn hours_pass(&self, hours: i64) {
        self.clock.0.fetch_add(hours * HOUR_MS, Ordering::Relaxed);
    }

    /// Whether the message had its effects before; it has them now.
    async fn is_known(&self, id: &str) -> Result<bool> {
        let fact = EventFact {
            message: key(id.parse()?),
            event_id: EventId(uuid::Uuid::nil()),
            brand_id: BrandId::new("acme")?,
            event_type: EventType::new("page_view")?,
            at: UnixMillis(START),
            origin_id: None,
            profile_id: None,
            purchase: None,
        };
        let interval = Duration::ZERO;
        let how = (true, PredictionPolicy { interval }, self.clock.now());
        let features = &self.pruner.features;
        let applied = features.apply(STAGE, &[fact], how, |_| Vec::new()).await?;
        Ok(applied.repeats == 1)
    }

    /// Publishes a message, and settles it with all that are on their way.
    async fn all_is_settled(&self) -> Result<()> {
        let bus = &self.pruner.bus;
        let filler = letter("1-1", None);
        let [last] = <[MessageId; 1]>::try_from(bus.publish::<Anything>(&[filler]).await?)
            .ok()
            .context("one id")?;
        let stop = CancellationToken::new();
        let options = SubscribeOptions::default();
        let mut subscription = bus.subscribe(TOPIC, STAGE, options, stop.clone());
        let settling = async {
            while bus.settled_up_to(&TOPIC, STAGE).await? < last {
                let batch = subscription.deliveries.next().await.context("the end")?;
                let done = batch.messages.iter().map(|message| message.id).collect();
                let settlement = Settlement {
                    done,
                    ..Settlement::default()
                };
                subscription.consumer.settle(&settlement).await?;
            }
            stop.cancel();
            anyhow::Ok(())
        };
        let ((), settled) = tokio::join!(subscription.driver, settling);
        settled
    }

    async fn prune(&self) -> Result<()> {
        self.pruner.prune().await
    }

    async fn letters(&self, letters: &[DeadLetter]) -> Result<Vec<MessageId>> {
        Ok(self.pruner.bus.publish::<Letters>(letters).await?)
    }
}

#[tokio::test]
async fn what_a_waiting_letter_may_need_is_remembered_and_the_rest_is_forgotten() -> Result<()> {
    let bench = Bench::start().await?;
    for id in ["5000-0", "6000-0", "7000-0", "8000-0"] {
        ensure!(!bench.is_known(id).await?, "{id}");
    }
    // More than are read at once, and the last is of a message that was redriven before.
    let mut letters = vec![letter("7000-0", None); PAGE + 1];
    letters.push(letter("9000000-0", Some("5000-0")));
    bench.letters(&letters).await?;
    bench.all_is_settled().await?;
    bench.hours_pass(13);
    bench.prune().await?;
    bench.hours_pass(12);
    bench.prune().await?;
    // Seven and five are ten minutes of one another, and so is what is between.
    for (id, known) in [("5000-0", true), ("7000-0", true), ("8000-0", false)] {
        assert_eq!(bench.is_known(id).await?, known, "{id}");
    }
    Ok(())
}

#[tokio::test]
async fn what_a_redriven_message_may_need_is_remembered_while_it_is_on_its_way() -> Result<()> {
    let bench = Bench::start().await?;
    ensure!(!bench.is_known("5000-0").await?, "it is new");
    let letters = bench.letters(&[letter("5000-0", None)]).await?;
    bench.all_is_settled().await?;
    bench.hours_pass(100);
    bench.prune().await?;
    bench.pruner.bus.redrive(&TOPIC, &letters).await?;
    for _ in 0..4 {
        bench.hours_pass(20);
        bench.prune().await?;
        ensure!(bench.is_known("5000-0").await?, "forgotten too early");
    }
    bench.all_is_settled().await?;
    bench.prune().await?;
    ensure!(!bench.is_known("5000-0").await?, "it cannot come again");
    Ok(())
}

#[tokio::test]
async fn nothing_is_forgotten_while_more_letters_wait_than_can_be_looked_through() -> Result<()> {
    let bench = Bench::start().await?;
    ensure!(!bench.is_known("5000-0").await?, "it is new");
    let count = usize::try_from(LETTERS_MAX)? + 1;
    let letters = bench.letters(&vec![letter("1-1", None); count]).await?;
    bench.all_is_settled().await?;
    bench.hours_pass(100);
    bench.prune().await?;
    ensure!(bench.is_known("5000-0").await?, "forgotten");
    bench.pruner.bus.discard(&TOPIC, &letters[..1]).await?;
    bench.prune().await?;
    ensure!(!bench.is_known("5000-0").await?, "remembered");
    Ok(())
}
