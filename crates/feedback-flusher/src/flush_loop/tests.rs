//! The loop over a memory store: what it finds, and what it does at the end.

use std::sync::atomic::{AtomicU32, Ordering};

use bus::Bus;
use common::Clock;
use stores::{FeedbackBatches, FeedbackItem, MemoryFeedbackBatches};
use testkit::servers::eventually_async;
use worker::Health;

use super::*;
use crate::failed_tries::FailedTries;
use crate::holding::Holding;
use crate::late_letters::LateLetters;
use crate::testing::{FakeDocuments, StillClock, agent, item, settings};

const SOON: Duration = Duration::from_secs(20);

struct Bench {
    batches: Arc<dyn FeedbackBatches>,
    documents: FakeDocuments,
    open: OpenBatches,
    clock: Arc<StillClock>,
    stop: CancellationToken,
    flush_loop: Option<FlushLoop>,
}

impl Bench {
    fn new(arguments: &[&str], holding: Option<Holding>) -> Self {
        let clock = Arc::new(StillClock::default());
        let shared: Arc<dyn Clock> = Arc::<StillClock>::clone(&clock);
        let bus = Bus::in_memory(Arc::clone(&shared));
        let batches: Arc<dyn FeedbackBatches> =
            Arc::new(MemoryFeedbackBatches::new(Arc::clone(&shared), 1_000));
        let documents = FakeDocuments::default();
        let settings = settings(arguments);
        let open = OpenBatches::new(settings.batch_size);
        let (health, stop) = (Health::default(), CancellationToken::new());
        let flusher = Flusher {
            batches: Arc::clone(&batches),
            documents: Arc::new(documents.clone()),
            bus: bus.clone(),
            letters: LateLetters::new(bus.clone(), shared, "a test".to_owned()),
            holding: holding.clone(),
            settings: settings.clone(),
            health: health.clone(),
            failed: FailedTries::default(),
        };
        let looking = Looking {
            batches: Arc::clone(&batches),
            documents: Arc::new(documents.clone()),
            bus,
            open: open.clone(),
            holding,
            settings,
            health,
            looks: AtomicU32::new(0),
        };
        let flush_loop = FlushLoop {
            flusher: Arc::new(flusher),
            looking: Arc::new(looking),
            open: open.clone(),
            stop: stop.clone(),
            last_flushes: SOON,
        };
        Self {
            batches,
            documents,
            open,
            clock,
            stop,
            flush_loop: Some(flush_loop),
        }
    }

    /// Runs the loop until these documents are kept, then stops it.
    async fn runs_until_kept(&mut self, ids: &[&str]) {
        let flush_loop = self.flush_loop.take().expect("it runs once");
        let kept = async {
            let kept = async || {
                self.documents
                    .ids()
                    .into_iter()
                    .eq(ids.iter().copied())
                    .then_some(())
            };
            let kept = eventually_async("the documents", SOON, kept).await;
            self.stop.cancel();
            kept
        };
        let (ended, kept) = tokio::join!(flush_loop.run(), kept);
        kept.expect("kept");
        ended.expect("it ends in order");
    }

    async fn add(&self, items: &[FeedbackItem]) {
        let added = self.batches.add(items).await.expect("added");
        self.open.added(&added.waiting);
    }
}

fn item_of(id: &str, of: &str) -> FeedbackItem {
    let mut item = item(id);
    item.document.agent_id = agent(of);
    item
}

#[tokio::test]
async fn a_full_batch_is_flushed_and_one_that_is_not_stays() {
    let mut bench = Bench::new(&["--batch-size=2"], None);
    bench
        .add(&[item_of("a", "7"), item_of("b", "7"), item_of("c", "8")])
        .await;
    bench.runs_until_kept(&["a", "b"]).await;
    assert_eq!(
        bench
            .batches
            .overview(9)
            .await
            .expect("batches")
            .total_items,
        1
    );
}

#[tokio::test]
async fn a_clock_that_is_put_back_delays_no_flush() {
    let mut bench = Bench::new(&["--batch-time-ms=50", "--check-interval-ms=20"], None);
    bench.clock.0.store(1_000_000, Ordering::Relaxed);
    bench.add(&[item_of("a", "7")]).await;
    // By the store's clock the batch will be new for a long time.
    bench.clock.0.store(0, Ordering::Relaxed);
    bench.runs_until_kept(&["a"]).await;
}

#[tokio::test]
async fn a_batch_of_several_parts_is_flushed_to_its_end() {
    let arguments = [
        "--batch-size=4",
        "--flush-items-max=2",
        "--check-interval-ms=3600000",
    ];
    let mut bench = Bench::new(&arguments, None);
    let ids = ["a", "b", "c", "d", "e", "f"];
    let items: Vec<FeedbackItem> = ids.iter().map(|id| item_of(id, "7")).collect();
    bench.add(&items).await;
    bench.runs_until_kept(&ids).await;
}

#[tokio::test]
async fn what_a_store_forgets_is_flushed_at_the_end_once_nothing_more_comes() {
    let holding = Holding::new(10);
    let mut bench = Bench::new(&[], Some(holding.clone()));
    bench.add(&[item_of("a", "7"), item_of("b", "8")]).await;
    bench.stop.cancel();
    // No stage reads here, so none ends: the loop waits for them, then gives up in time.
    let mut flush_loop = bench.flush_loop.take().expect("it runs once");
    flush_loop.last_flushes = Duration::from_millis(50);
    flush_loop.run().await.expect("it ends");
    assert!(bench.documents.ids().is_empty());
    assert_eq!(
        bench
            .batches
            .overview(9)
            .await
            .expect("batches")
            .total_items,
        2
    );
}
