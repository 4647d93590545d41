//! Members of a group as a worker would run them, and waiting for what they bring about.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use bus::{
    Bus, Consumer, Deliveries, Delivery, DeliveryBatch, GroupOverview, MessageId, RetryPolicy,
    Settlement, SubscribeOptions, Verdict,
};
use common::topics::TopicInfo;
use common::{Message as _, Topic};
use testkit::servers::eventually_async;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::notes::{Note, READERS};

/// What takes longer than this is taken to happen never.
pub(crate) const SOON: Duration = Duration::from_secs(20);
/// A lease that no test outlives.
pub(crate) const LONG: Duration = Duration::from_hours(1);
/// A lease that a test can wait for.
pub(crate) const SHORT: Duration = Duration::from_millis(400);

/// Reads quickly, retries quickly, and takes over nothing from others.
pub(crate) fn options() -> SubscribeOptions {
    SubscribeOptions {
        batch_max: 100,
        read_wait: Duration::from_millis(50),
        lease: LONG,
        retry: RetryPolicy {
            base: Duration::from_millis(50),
            cap: Duration::from_secs(1),
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

/// A member of a group whose driver runs.
pub(crate) struct Reader {
    pub(crate) deliveries: Deliveries,
    pub(crate) consumer: Consumer,
    pub(crate) stop: CancellationToken,
    driver: JoinHandle<()>,
}

impl Reader {
    /// Joins the readers of a topic.
    pub(crate) fn join<T: Topic>(bus: &Bus, options: SubscribeOptions) -> Self {
        Self::join_group::<T>(bus, READERS, options)
    }

    /// Joins any group of a topic.
    #[expect(
        clippy::disallowed_methods,
        reason = "a test has no worker whose task the driver could be; it ends with the test"
    )]
    pub(crate) fn join_group<T: Topic>(
        bus: &Bus,
        group: &'static str,
        options: SubscribeOptions,
    ) -> Self {
        let stop = CancellationToken::new();
        let subscription = bus.subscribe(T::INFO, group, options, stop.clone());
        Self {
            deliveries: subscription.deliveries,
            consumer: subscription.consumer,
            stop,
            driver: tokio::spawn(subscription.driver),
        }
    }

    /// The next batch; an error when none comes.
    pub(crate) async fn next(&mut self) -> Result<DeliveryBatch> {
        let batch = tokio::time::timeout(SOON, self.deliveries.next()).await;
        batch
            .context("waiting for a batch")?
            .context("the subscription ended")
    }

    /// The next so many messages, held until they are dropped.
    pub(crate) async fn take(&mut self, count: usize) -> Result<Held> {
        let mut held = Held::default();
        while held.messages().count() < count {
            held.0.push(self.next().await?);
        }
        let taken = held.messages().count();
        ensure!(taken == count, "{taken} messages instead of {count}");
        Ok(held)
    }

    /// The next message, which must come alone.
    pub(crate) async fn take_one(&mut self) -> Result<(Delivery, Held)> {
        let held = self.take(1).await?;
        let message = held.messages().next().cloned();
        Ok((message.context("an empty batch")?, held))
    }

    /// Takes so many messages and settles them as done; gives their numbers.
    pub(crate) async fn finish(&mut self, count: usize) -> Result<Vec<u32>> {
        let held = self.take(count).await?;
        let settled = self.consumer.settle(&done(held.ids())).await?;
        ensure!(settled.done == u64::try_from(count)?, "{settled:?}");
        held.numbers()
    }

    /// Ends without settling anything, as a killed process does; what is left can still be tried.
    pub(crate) async fn die(mut self) -> Consumer {
        self.driver.abort();
        let cancelled = (&mut self.driver).await.is_err();
        assert!(cancelled, "the driver ended by itself");
        self.consumer.clone()
    }

    /// Waits for the driver's end.
    pub(crate) async fn ended(mut self) -> Result<()> {
        let end = tokio::time::timeout(SOON, &mut self.driver).await;
        end.context("waiting for the driver's end")?
            .context("running the driver")
    }
}

/// Delivered batches that are neither settled nor dropped.
#[derive(Default)]
pub(crate) struct Held(pub(crate) Vec<DeliveryBatch>);

impl Held {
    pub(crate) fn messages(&self) -> impl Iterator<Item = &Delivery> {
        self.0.iter().flat_map(|batch| &batch.messages)
    }

    pub(crate) fn ids(&self) -> Vec<MessageId> {
        self.messages().map(|message| message.id).collect()
    }

    pub(crate) fn numbers(&self) -> Result<Vec<u32>> {
        self.messages().map(number_of).collect()
    }
}

pub(crate) fn number_of(message: &Delivery) -> Result<u32> {
    Ok(Note::decode(message.fields.clone())?.number)
}

/// These messages are finished.
pub(crate) fn done(ids: impl IntoIterator<Item = MessageId>) -> Settlement {
    Settlement {
        done: ids.into_iter().collect(),
        ..Settlement::default()
    }
}

/// These messages failed.
pub(crate) fn failed(ids: impl IntoIterator<Item = MessageId>) -> Settlement {
    Settlement {
        retry: ids.into_iter().map(|id| verdict(id, "timeout")).collect(),
        ..Settlement::default()
    }
}

/// These messages are given up.
pub(crate) fn dead(ids: impl IntoIterator<Item = MessageId>) -> Settlement {
    Settlement {
        dead: ids.into_iter().map(|id| verdict(id, "hopeless")).collect(),
        ..Settlement::default()
    }
}

fn verdict(id: MessageId, reason: &str) -> Verdict {
    Verdict {
        id,
        reason: reason.to_owned(),
        error: format!("{reason}, at length"),
    }
}

/// The topic's first group as it is now.
pub(crate) async fn group(bus: &Bus, topic: &TopicInfo) -> Result<GroupOverview> {
    let groups = bus.overview(topic).await?.groups;
    let named = |group: &GroupOverview| topic.groups.first() == Some(&group.name.as_str());
    groups.into_iter().find(named).context("there is no group")
}

/// Waits until the topic's first group looks as wanted.
pub(crate) async fn group_when(
    bus: &Bus,
    topic: &TopicInfo,
    what: &str,
    wanted: impl Fn(&GroupOverview) -> bool,
) -> Result<GroupOverview> {
    let look = async || group(bus, topic).await.ok().filter(&wanted);
    match eventually_async(what, SOON, look).await {
        Ok(group) => Ok(group),
        Err(error) => Err(error).context(format!("{:?}", bus.overview(topic).await)),
    }
}

/// Every published message and every dead letter is in exactly one state, and counted exactly.
pub(crate) async fn assert_balanced(bus: &Bus, topic: &TopicInfo) -> Result<()> {
    let audit = bus.overview(topic).await?.audit();
    let exact = audit.groups.iter().all(|group| group.exact);
    ensure!(audit.is_balanced() && exact, "{audit:?}");
    Ok(())
}

/// Every published message is in exactly one state.
pub(crate) async fn assert_conserved(bus: &Bus, topic: &TopicInfo) -> Result<()> {
    let overview = bus.overview(topic).await?;
    for group in &overview.groups {
        let known = group.done + group.dead + group.pending + group.undelivered.count;
        ensure!(overview.published == known, "{overview:?}");
    }
    Ok(())
}
