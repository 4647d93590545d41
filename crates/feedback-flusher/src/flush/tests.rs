//! Flushes of a memory store over a document store that fails as it is told.

use std::sync::Arc;

use bus::{Bus, DeadLetter, MessageId};
use common::messages::{FeedbackCreated, FeedbackReply};
use common::topics::{FeedbackCreatedTopic, FeedbackReplies, Topic as _};
use common::{Clock, Message as _, UnixMillis};
use stores::{FeedbackItem, MemoryFeedbackBatches};

use super::*;
use crate::testing::{FakeDocuments, StillClock, agent, item, items, settings};

struct Bench {
    flusher: Flusher,
    documents: FakeDocuments,
    clock: Arc<StillClock>,
}

impl Bench {
    fn new(arguments: &[&str]) -> Self {
        let clock = Arc::new(StillClock::default());
        let shared: Arc<dyn Clock> = Arc::<StillClock>::clone(&clock);
        let bus = Bus::in_memory(Arc::clone(&shared));
        let documents = FakeDocuments::default();
        let flusher = Flusher {
            batches: Arc::new(MemoryFeedbackBatches::new(Arc::clone(&shared), 1_000)),
            documents: Arc::new(documents.clone()),
            bus: bus.clone(),
            letters: LateLetters::new(bus, shared, "a test".to_owned()),
            holding: None,
            settings: settings(arguments),
            health: Health::default(),
            failed: FailedTries::default(),
        };
        Self {
            flusher,
            documents,
            clock,
        }
    }

    async fn add(&self, items: &[FeedbackItem]) {
        let added = self.flusher.batches.add(items).await.expect("added");
        assert_eq!(added.refused, []);
    }

    async fn flush(&self) -> Flushed {
        self.flusher.flush(&agent("7")).await
    }

    /// Lets the wait of a flush that was given up pass.
    fn wait(&self) {
        self.clock
            .0
            .fetch_add(120_000, std::sync::atomic::Ordering::Relaxed);
    }

    async fn told(&self) -> Vec<String> {
        let name = FeedbackCreatedTopic::INFO.name;
        let stored = self.flusher.bus.range(name, MessageId::ZERO, 100).await;
        let events = stored.expect("events").into_iter().map(|stored| {
            let event = FeedbackCreated::decode(stored.fields).expect("an event");
            event.feedback_id
        });
        events.collect()
    }

    async fn letters(&self) -> Vec<DeadLetter> {
        let topic = FeedbackReplies::INFO;
        let letters = self.flusher.bus.dead_letters(&topic, MessageId::ZERO, 100);
        letters.await.expect("letters")
    }

    async fn waiting(&self) -> usize {
        let waiting = self.flusher.batches.of_agent(&agent("7")).await;
        waiting.expect("batches").len()
    }
}

const FINISHED: Flushed = Flushed::Finished { more: false };

#[tokio::test]
async fn a_batch_becomes_documents_and_events_and_is_gone() {
    let bench = Bench::new(&[]);
    assert_eq!(bench.flush().await, Flushed::Nothing);
    bench.add(&items(&["a", "b", "c"])).await;
    assert_eq!(bench.flush().await, FINISHED);
    assert!(bench.documents.ids().into_iter().eq(["a", "b", "c"]));
    assert_eq!(bench.told().await, ["a", "b", "c"]);
    assert_eq!((bench.waiting().await, bench.documents.calls()), (0, 1));
    assert!(bench.letters().await.is_empty());
}

#[tokio::test]
async fn a_batch_is_cut_at_its_largest_size_and_says_so() {
    let bench = Bench::new(&["--flush-items-max=2"]);
    bench.add(&items(&["a", "b", "c"])).await;
    assert_eq!(bench.flush().await, Flushed::Finished { more: true });
    assert_eq!(bench.flush().await, FINISHED);
    assert_eq!(bench.told().await, ["a", "b", "c"]);
}

#[tokio::test]
async fn of_several_items_with_one_id_the_newest_is_kept_and_told_once() {
    let bench = Bench::new(&[]);
    let version = |text: &str, millis: i64| {
        let mut item = item("a");
        item.document.text = Some(text.to_owned());
        item.document.created_at = UnixMillis(millis);
        item
    };
    bench
        .add(&[version("1", 1), version("3", 3), version("3 again", 3)])
        .await;
    bench.add(&[version("2", 2), item("b")]).await;
    assert_eq!(bench.flush().await, FINISHED);
    let kept = bench
        .documents
        .of_agent(&agent("7"), 10)
        .await
        .expect("kept");
    let texts: Vec<_> = kept.iter().filter_map(|one| one.text.as_deref()).collect();
    assert_eq!(texts, ["3 again", "text of b"]);
    // The same feedback later is told by the same event, which is there.
    bench.add(&[version("4", 4)]).await;
    assert_eq!(bench.flush().await, FINISHED);
    assert_eq!(bench.told().await, ["a", "b"]);
}

#[tokio::test]
async fn what_the_store_refuses_becomes_a_letter_for_each_message_and_the_rest_is_kept() {
    let bench = Bench::new(&[]);
    let mut again = item("refused");
    again.origin.id = "99-0".to_owned();
    bench
        .add(&[item("a"), item("refused"), again, item("b")])
        .await;
    assert_eq!(bench.flush().await, FINISHED);
    assert_eq!(bench.told().await, ["a", "b"]);
    let letters = bench.letters().await;
    let ids: Vec<_> = letters
        .iter()
        .filter_map(|letter| letter.source_id)
        .collect();
    let ids: Vec<String> = ids.iter().map(ToString::to_string).collect();
    assert_eq!(ids, ["7-1", "99-0"]);
    for letter in letters {
        let facts = (letter.reason.as_str(), letter.error.as_str());
        assert_eq!(facts, ("document_refused", "never"));
        assert_eq!(
            (letter.group.as_str(), letter.worker.as_str()),
            ("feedback-service", "a test")
        );
        let message = FeedbackReply::decode(letter.fields).expect("a reply");
        assert_eq!(message.feedback_id.as_deref(), Some("refused"));
        assert_eq!(message.text, "text of refused");
    }
}

#[tokio::test]
async fn items_that_tell_of_no_message_have_a_letter_each() {
    let bench = Bench::new(&[]);
    let foreign = |id: &str| {
        let mut item = item(id);
        (item.origin.stream, item.origin.id) = (String::new(), String::new());
        item
    };
    bench
        .add(&[foreign("refused 1"), foreign("refused 2")])
        .await;
    assert_eq!(bench.flush().await, FINISHED);
    assert_eq!(bench.letters().await.len(), 2);
}

#[tokio::test]
async fn a_document_that_cannot_be_written_is_tried_again_and_given_up_alone() {
    let bench = Bench::new(&["--attempts-max=3"]);
    bench.add(&items(&["a", "sick", "b"])).await;
    for _ in 0..2 {
        assert_eq!(bench.flush().await, Flushed::Released);
        // The healthy ones are told at once, and once.
        assert_eq!(bench.told().await, ["a", "b"]);
        assert!(bench.letters().await.is_empty());
        assert_eq!(bench.flush().await, Flushed::Nothing, "it waits");
        bench.wait();
    }
    assert_eq!(bench.flush().await, FINISHED);
    let letters = bench.letters().await;
    let reasons: Vec<_> = letters
        .iter()
        .map(|letter| letter.reason.as_str())
        .collect();
    assert_eq!(reasons, ["document_failed"]);
    assert_eq!((bench.told().await.len(), bench.waiting().await), (2, 0));
}

#[tokio::test]
async fn a_store_that_is_down_costs_no_item_a_try_and_is_said() {
    let bench = Bench::new(&["--attempts-max=1"]);
    bench.add(&items(&["a", "sick"])).await;
    bench.documents.set_down(true);
    for _ in 0..4 {
        assert_eq!(bench.flush().await, Flushed::Released);
        assert!(bench.flusher.health.reasons().contains_key(DOCUMENTS));
        bench.wait();
    }
    bench.documents.set_down(false);
    bench.documents.set_sick(true);
    assert_eq!(
        bench.flush().await,
        Flushed::Released,
        "a store that takes nothing"
    );
    assert!(bench.letters().await.is_empty());
    bench.wait();
    bench.documents.set_sick(false);
    assert_eq!(bench.flush().await, FINISHED);
    assert!(bench.flusher.health.reasons().is_empty());
    assert_eq!(
        (bench.told().await, bench.letters().await.len()),
        (vec!["a".to_owned()], 1)
    );
}
