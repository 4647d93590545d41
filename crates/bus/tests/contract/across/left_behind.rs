//! Messages on Redis of a topic that lives elsewhere: nobody reads them, so it must be told.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{Context as _, Result};
use bus::metrics::LEFT_BEHIND;
use common::Topic;
use common::topics::{Home, TopicInfo};
use metrics::{Counter, Gauge, Histogram, Key, KeyName, Metadata, Recorder, SharedString, Unit};

use super::bench::Bench;
use crate::notes::{Note, Notes, READERS, notes};

/// Lives where the bench keeps results, and has a reader.
struct Results;

impl Topic for Results {
    type Message = Note;
    const INFO: TopicInfo = TopicInfo {
        name: "test.results",
        groups: &[READERS],
        retained: 10_000,
        key: "number",
        home: Home::Kafka,
    };
}

/// Counts what was left behind of one topic, and nothing else.
struct OfTopic {
    topic: &'static str,
    count: Arc<AtomicU64>,
}

impl OfTopic {
    fn new(topic: &'static str) -> Self {
        let count = Arc::default();
        Self { topic, count }
    }

    fn told(&self) -> u64 {
        self.count.load(Ordering::Relaxed)
    }
}

impl Recorder for OfTopic {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        let mut labels = key.labels();
        let topic = labels.find(|label| label.key() == "topic");
        if key.name() == LEFT_BEHIND && topic.is_some_and(|topic| topic.value() == self.topic) {
            return Counter::from_arc(Arc::clone(&self.count));
        }
        Counter::noop()
    }

    fn register_gauge(&self, _: &Key, _: &Metadata<'_>) -> Gauge {
        Gauge::noop()
    }

    fn register_histogram(&self, _: &Key, _: &Metadata<'_>) -> Histogram {
        Histogram::noop()
    }
}

#[tokio::test]
async fn messages_on_redis_of_a_topic_that_lives_elsewhere_are_told_until_they_are_moved()
-> Result<()> {
    let Some(bench) = Bench::start()? else {
        return Ok(());
    };
    let left = OfTopic::new(Results::INFO.name);
    let _recording = metrics::set_default_local_recorder(&left);
    bench.bus.open_groups(&[Results::INFO, Notes::INFO]).await?;
    assert_eq!(left.told(), 0, "there is nothing on Redis");

    bench.old.publish::<Results>(&notes(0..3)).await?;
    bench.bus.open_groups(&[Results::INFO]).await?;
    assert_eq!(left.told(), 1);

    let migration = bench.bus.migration().context("one server only")?;
    let migrated = migration.run(&Results::INFO, &|_| {}).await?;
    assert_eq!(migrated.context("nothing to move")?.messages, 3);
    bench.bus.open_groups(&[Results::INFO]).await?;
    assert_eq!(left.told(), 1, "nothing is left");
    Ok(())
}

#[tokio::test]
async fn messages_of_a_topic_that_lives_on_redis_are_not_left_behind() -> Result<()> {
    let Some(bench) = Bench::start()? else {
        return Ok(());
    };
    let left = OfTopic::new(Notes::INFO.name);
    let _recording = metrics::set_default_local_recorder(&left);
    bench.bus.publish::<Notes>(&notes(0..3)).await?;
    bench.bus.open_groups(&[Notes::INFO]).await?;
    assert_eq!(left.told(), 0);
    Ok(())
}
