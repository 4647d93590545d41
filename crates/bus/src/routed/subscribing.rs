//! One member of a group, wherever its topic lives: when the topic is moved, it goes after it.

use std::sync::Arc;
use std::time::Duration;

use common::topics::TopicInfo;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use super::Routed;
use super::first_ids::FirstIds;
use super::settling::RoutedSettling;
use crate::consumer::{Consumer, Deliveries, Stations, Subscription};
use crate::error::BusError;
use crate::options::SubscribeOptions;
use crate::place::Place;

/// How often it is asked whether the topic lives where it lived.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);

/// What a member needs to join its group again elsewhere.
struct Traveller {
    router: Arc<Routed>,
    topic: TopicInfo,
    group: &'static str,
    options: SubscribeOptions,
    stop: CancellationToken,
    /// Where the deliveries of each place go.
    joined: mpsc::Sender<Deliveries>,
    /// Why it does not read now.
    report: watch::Sender<Option<String>>,
}

pub(super) fn subscribe(
    router: Arc<Routed>,
    (topic, group): (TopicInfo, &'static str),
    options: SubscribeOptions,
    stop: CancellationToken,
) -> Subscription {
    let first_ids = FirstIds::default();
    let settling = RoutedSettling::new(Arc::clone(&router), (topic, group), first_ids.clone());
    let settling = Arc::new(settling);
    let (name, deliveries_max) = (options.consumer.clone(), options.retry.deliveries_max);
    let consumer = Consumer::new(
        Arc::<RoutedSettling>::clone(&settling),
        name,
        deliveries_max,
    );
    let (joined, next) = mpsc::channel(1);
    let stations = Stations {
        next,
        first_ids,
        stop: stop.clone(),
    };
    let (report, trouble) = watch::channel(None);
    let traveller = Traveller {
        router,
        topic,
        group,
        options,
        stop,
        joined,
        report,
    };
    Subscription {
        deliveries: Deliveries::of_stations(stations),
        consumer,
        trouble,
        driver: Box::pin(traveller.travel(settling)),
    }
}

impl Traveller {
    /// Reads where the topic lives until the subscription is stopped.
    async fn travel(self, settling: Arc<RoutedSettling>) {
        while !self.stop.is_cancelled() {
            match self.residence().await {
                Ok(place) => self.stay(place, &settling).await,
                Err(error) => {
                    tracing::warn!(topic = self.topic.name, %error, "not reading; waiting");
                    self.report.send_replace(Some(error.to_string()));
                    self.wait().await;
                }
            }
        }
    }

    /// Reads in one place, until the topic does not live there any more and nothing is in hand.
    async fn stay(&self, place: Place, settling: &RoutedSettling) {
        let server = self.router.at(place);
        let leave = self.stop.child_token();
        let options = self.options.clone();
        let Subscription {
            deliveries,
            consumer,
            trouble,
            driver,
        } = server.subscribe(self.topic, self.group, options, leave.clone());
        settling.use_member(consumer);
        if self.joined.send(deliveries).await.is_ok() {
            let moved = self.leave_when_moved(place, &leave);
            tokio::join!(driver, moved, pass_on(trouble, &self.report));
        }
    }

    async fn leave_when_moved(&self, place: Place, leave: &CancellationToken) {
        while !leave.is_cancelled() {
            self.wait().await;
            match self.residence().await {
                Ok(now) if now == place => {}
                // A server that does not answer is no reason to leave: the reader waits for it.
                Err(error) if error.is_unavailable() && !self.is_moving().await => {}
                Ok(_) | Err(_) => {
                    tracing::info!(
                        topic = self.topic.name,
                        "the topic moves: reading elsewhere"
                    );
                    leave.cancel();
                }
            }
        }
    }

    /// Where the topic can be read; unavailable while it is on its way.
    async fn residence(&self) -> Result<Place, BusError> {
        self.router.home(self.topic.name).await?;
        self.router.place(self.topic.name).await
    }

    async fn is_moving(&self) -> bool {
        matches!(self.router.state(self.topic.name).await, Ok(Some(_)))
    }

    async fn wait(&self) {
        tokio::select! {
            () = self.stop.cancelled() => {}
            () = tokio::time::sleep(LOOK_INTERVAL) => {}
        }
    }
}

async fn pass_on(
    mut trouble: watch::Receiver<Option<String>>,
    report: &watch::Sender<Option<String>>,
) {
    report.send_if_modified(|known| known.take().is_some());
    while trouble.changed().await.is_ok() {
        let now = trouble.borrow_and_update().clone();
        report.send_if_modified(|known| {
            let changed = *known != now;
            *known = now;
            changed
        });
    }
}
