//! A consumer of a topic that does with each message what a test wants.

use std::time::Duration;

use bus::{
    Bus, Consumer, Deliveries, DeliveryBatch, MessageId, Settlement, SubscribeOptions, Verdict,
};
use common::Topic;
use tokio::task::JoinSet;
use worker::CancellationToken;

const SOON: Duration = Duration::from_secs(20);

/// A member of a group, until it is dropped.
pub(crate) struct Reader {
    pub(crate) consumer: Consumer,
    deliveries: Deliveries,
    /// What is dropped would be claimed by others.
    held: Vec<DeliveryBatch>,
    stop: CancellationToken,
    driver: JoinSet<()>,
}

impl Reader {
    /// Joins the first group of a topic.
    pub(crate) fn join<T: Topic>(bus: &Bus) -> Self {
        let group = T::INFO.groups.first().expect("a group");
        let options = SubscribeOptions {
            // Nothing comes again by itself while a test looks.
            retry: bus::RetryPolicy {
                base: Duration::from_hours(1),
                cap: Duration::from_hours(1),
                deliveries_max: 5,
            },
            ..SubscribeOptions::default()
        };
        let stop = CancellationToken::new();
        let subscription = bus.subscribe(T::INFO, group, options, stop.clone());
        let mut driver = JoinSet::new();
        driver.spawn(subscription.driver);
        Self {
            consumer: subscription.consumer,
            deliveries: subscription.deliveries,
            held: Vec::new(),
            stop,
            driver,
        }
    }

    /// Takes so many messages.
    pub(crate) async fn take(&mut self, count: usize) -> Vec<MessageId> {
        let mut ids = Vec::new();
        while ids.len() < count {
            let batch = tokio::time::timeout(SOON, self.deliveries.next()).await;
            let batch = batch.expect("a batch comes").expect("the bus goes on");
            ids.extend(batch.messages.iter().map(|message| message.id));
            self.held.push(batch);
        }
        ids
    }

    /// Reads no more and settles nothing, as if it had been killed; gives its name. A read that
    /// is on its way ends first: one that is cut off may still take the next message.
    pub(crate) async fn stop(mut self) -> String {
        self.stop.cancel();
        // The driver ends when nothing is in hand.
        self.held.clear();
        while self.driver.join_next().await.is_some() {}
        self.consumer.name().to_owned()
    }

    /// Finishes messages.
    pub(crate) async fn finish(&self, ids: &[MessageId]) {
        let settlement = Settlement {
            done: ids.to_vec(),
            ..Settlement::default()
        };
        self.consumer.settle(&settlement).await.expect("settled");
    }

    /// Gives messages up, for a reason.
    pub(crate) async fn give_up(&self, ids: &[MessageId], reason: &str) {
        let settlement = Settlement {
            dead: verdicts(ids, reason),
            ..Settlement::default()
        };
        self.consumer.settle(&settlement).await.expect("settled");
    }

    /// Fails with messages, which are to be tried again.
    pub(crate) async fn fail(&self, ids: &[MessageId], reason: &str) {
        let settlement = Settlement {
            retry: verdicts(ids, reason),
            ..Settlement::default()
        };
        self.consumer.settle(&settlement).await.expect("settled");
    }
}

fn verdicts(ids: &[MessageId], reason: &str) -> Vec<Verdict> {
    let verdict = |id: &MessageId| Verdict {
        id: *id,
        reason: reason.to_owned(),
        error: format!("{reason}, at length"),
    };
    ids.iter().map(verdict).collect()
}
