//! One stage: takes batches from the bus, has them processed, and settles them.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bus::{
    Bus, BusError, Consumer, Deliveries, Delivery, DeliveryBatch, MessageId, SubscribeOptions,
    Subscription, Verdict,
};
use common::{Message as _, Topic, Unavailable};
use crash_points::{CrashPoint, reached};
use futures_util::FutureExt as _;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::failure::{explain, unavailable};
use crate::health::Health;
use crate::metrics;
use crate::processor::{Batch, Processor, Received, Verdicts};
use crate::settling;
use crate::waiting::Backoff;

/// How long an attempt may take.
const ATTEMPT_LONGEST: Duration = Duration::from_mins(1);
/// The most characters of an error that are kept with a message.
const ERROR_CHARS_MAX: usize = 1_000;

/// A processor at work. A worker runs it with [`Worker::stage`](crate::Worker::stage).
#[derive(Debug)]
pub struct Stage<P: Processor> {
    subscription: Subscription,
    work: Work<P>,
}

#[derive(Debug)]
struct Work<P: Processor> {
    processor: P,
    consumer: Consumer,
    health: Health,
    stop: CancellationToken,
}

/// Why a batch was not processed.
enum Failure {
    /// A dependency is down.
    Unavailable(Unavailable),
    /// Something else, and some message of the batch may be to blame.
    Failed { reason: &'static str, error: String },
}

/// The signal to stop came while a dependency was down.
struct Stopped;

impl<P: Processor> Stage<P> {
    /// Joins the processor's group as one consumer. `health` says what the stage waits for; `stop`
    /// ends it.
    pub fn new(
        bus: &Bus,
        options: SubscribeOptions,
        processor: P,
        health: Health,
        stop: CancellationToken,
    ) -> Self {
        let subscription = bus.subscribe(P::Input::INFO, P::GROUP, options, stop.clone());
        let work = Work {
            processor,
            consumer: subscription.consumer.clone(),
            health,
            stop,
        };
        Self { subscription, work }
    }

    /// Works until it is stopped: what is in hand is finished, and what was not started is handed
    /// back. It must run to its end, for a read that is dropped may lose a delivery.
    pub async fn run(self) {
        let Subscription {
            deliveries, driver, ..
        } = self.subscription;
        let watching = self.work.watch(self.subscription.trouble);
        let consuming = self.work.consume(deliveries);
        tokio::join!(driver, watching, consuming, self.work.finish_held());
    }
}

impl<P: Processor> Work<P> {
    async fn consume(&self, mut deliveries: Deliveries) {
        while let Some(mut delivered) = self.next(&mut deliveries).await {
            let messages = std::mem::take(&mut delivered.messages);
            reached(CrashPoint::StageDelivered);
            let delivered = Arc::new(delivered);
            let untouched = if self.stop.is_cancelled() {
                ids_of(&messages)
            } else {
                self.work(messages, &delivered).await
            };
            // The leases were renewed until here; what is handed back must not be renewed. What is
            // held keeps its own.
            let ids: Vec<MessageId> = untouched.iter().map(|(id, _)| *id).collect();
            delivered.release(&ids);
            drop(delivered);
            self.hand_back(&untouched).await;
        }
        if let Some(held) = self.processor.held() {
            held.end_reading();
        }
    }

    /// The next batch, as soon as the stage may hold its messages.
    async fn next(&self, deliveries: &mut Deliveries) -> Option<DeliveryBatch> {
        if let Some(held) = self.processor.held() {
            held.room(&self.stop).await;
        }
        deliveries.next().await
    }

    /// Settles what was held, until reading has ended and everything is finished or handed back.
    async fn finish_held(&self) {
        let Some(held) = self.processor.held() else {
            return;
        };
        let deliveries_max = self.consumer.deliveries_max();
        while let Some(finished) = held.finished(deliveries_max).await {
            self.settle(&finished.settlement).await;
            reached(CrashPoint::StageSettled);
            finished.release();
        }
        self.hand_back(&held.unfinished()).await;
    }

    /// Says in the health what the reading of the topic waits for, until reading ends.
    async fn watch(&self, mut trouble: watch::Receiver<Option<String>>) {
        let name = P::Input::INFO.name;
        while trouble.changed().await.is_ok() {
            match trouble.borrow_and_update().clone() {
                Some(why) => self.health.waiting(name, why),
                None => self.health.ready(name),
            }
        }
    }

    /// Gives what could not be processed before the signal to stop.
    async fn work(
        &self,
        messages: Vec<Delivery>,
        lease: &Arc<DeliveryBatch>,
    ) -> Vec<(MessageId, u32)> {
        let (batch, undecodable) = decode::<P::Input>(messages);
        if !undecodable.is_empty() {
            metrics::count(metrics::UNDECODABLE, P::STAGE, undecodable.len());
            let ids: Vec<MessageId> = undecodable.iter().map(|verdict| verdict.id).collect();
            let settlement = bus::Settlement {
                dead: undecodable,
                ..Default::default()
            };
            self.settle(&settlement).await;
            lease.release(&ids);
        }
        let mut todo = vec![batch];
        while let Some(mut batch) = todo.pop() {
            if batch.messages.is_empty() {
                continue;
            }
            match self.process(&mut batch).await {
                Ok(Ok(verdicts)) => self.finish(&batch, verdicts, lease).await,
                Ok(Err((reason, error))) if batch.messages.len() == 1 => {
                    let mut verdicts = Verdicts::all_done();
                    for received in &batch.messages {
                        tracing::error!(stage = P::STAGE, id = %received.id, reason, error, "failed");
                        verdicts.retry(received.id, reason, &error);
                    }
                    self.finish(&batch, verdicts, lease).await;
                }
                Ok(Err((reason, error))) => {
                    metrics::count(metrics::BISECTED, P::STAGE, 1);
                    let messages = batch.messages.len();
                    tracing::warn!(stage = P::STAGE, messages, reason, error, "taking apart");
                    todo.push(batch.split());
                    todo.push(batch);
                }
                Err(Stopped) => {
                    todo.push(batch);
                    let rest = todo.iter().flat_map(|batch| &batch.messages);
                    let rest: Vec<(MessageId, u32)> = rest
                        .map(|received| (received.id, received.deliveries))
                        .collect();
                    self.forget(rest.iter().map(|(id, _)| *id));
                    return rest;
                }
            }
        }
        Vec::new()
    }

    /// Processes a batch, waiting for dependencies as long as it takes. After an attempt that
    /// failed, nobody knows whether it had effects: a commit may have taken place unanswered.
    async fn process(
        &self,
        batch: &mut Batch<P::Input>,
    ) -> Result<Result<Verdicts, (&'static str, String)>, Stopped> {
        let mut backoff = Backoff::default();
        loop {
            let failure = match self.attempt(batch).await {
                Ok(verdicts) => break Ok(Ok(verdicts)),
                Err(failure) => failure,
            };
            batch.may_be_repeats();
            let down = match failure {
                Failure::Failed { reason, error } => break Ok(Err((reason, error))),
                Failure::Unavailable(down) => down,
            };
            tracing::warn!(stage = P::STAGE, %down, "waiting; no attempt is counted");
            metrics::count(metrics::WAITED, P::STAGE, 1);
            self.health.waiting(P::STAGE, down.to_string());
            tokio::select! {
                () = self.stop.cancelled() => break Err(Stopped),
                () = tokio::time::sleep(backoff.advance()) => {}
            }
        }
        .inspect(|_| self.health.ready(P::STAGE))
    }

    async fn attempt(&self, batch: &Batch<P::Input>) -> Result<Verdicts, Failure> {
        let started = Instant::now();
        if let Some(held) = self.processor.held() {
            let messages = batch.messages.iter();
            held.begin(messages.map(|received| (received.id, received.deliveries)));
        }
        let attempt = AssertUnwindSafe(self.processor.process(batch)).catch_unwind();
        let result = tokio::time::timeout(ATTEMPT_LONGEST, attempt).await;
        metrics::processed(P::STAGE, started.elapsed());
        let Ok(result) = result else {
            return Err(too_long(batch.messages.len()));
        };
        match result {
            Ok(Ok(verdicts)) => Ok(verdicts),
            Ok(Err(error)) => Err(failure_of(&error)),
            Err(panic) => {
                let text = panic.downcast_ref::<String>().map(String::as_str);
                let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
                let error = shortened(text.unwrap_or("a panic without words"));
                Err(Failure::Failed {
                    reason: "panicked",
                    error,
                })
            }
        }
    }

    async fn finish(
        &self,
        batch: &Batch<P::Input>,
        mut verdicts: Verdicts,
        lease: &Arc<DeliveryBatch>,
    ) {
        reached(CrashPoint::StageProcessed);
        let mut later = verdicts.take_later();
        if self.processor.held().is_none() {
            for id in later.drain(..) {
                verdicts.retry(id, "nobody_finishes_it", "the processor holds no messages");
            }
        }
        let settlement = verdicts.settlement(batch, self.consumer.deliveries_max(), &later);
        let ended: Vec<MessageId> = batch
            .messages
            .iter()
            .map(|received| received.id)
            .filter(|id| !later.contains(id))
            .collect();
        self.forget(ended.iter().copied());
        if !ended.is_empty() {
            self.settle(&settlement).await;
            reached(CrashPoint::StageSettled);
        }
        if let Some(held) = self.processor.held() {
            lease.release(&ended);
            held.keep(&later, lease);
        }
    }

    fn forget(&self, ids: impl Iterator<Item = MessageId>) {
        if let Some(held) = self.processor.held() {
            held.forget(ids);
        }
    }

    async fn settle(&self, settlement: &bus::Settlement) {
        for verdict in &settlement.dead {
            let Verdict { id, reason, error } = verdict;
            tracing::error!(stage = P::STAGE, %id, reason, error, "dead letter");
        }
        let waiting = |error: &BusError| self.health.waiting(P::STAGE, error.to_string());
        let settled = settling::settle(&self.consumer, settlement, &self.stop, waiting).await;
        self.health.ready(P::STAGE);
        if let Err(error) = settled {
            tracing::warn!(stage = P::STAGE, %error, "not settled; the messages come again");
        }
    }

    async fn hand_back(&self, messages: &[(MessageId, u32)]) {
        if messages.is_empty() {
            return;
        }
        if let Err(error) = self.consumer.hand_back(messages).await {
            tracing::warn!(stage = P::STAGE, %error, "not handed back; the lease will run out");
        }
    }
}

fn ids_of(messages: &[Delivery]) -> Vec<(MessageId, u32)> {
    messages
        .iter()
        .map(|message| (message.id, message.deliveries))
        .collect()
}

/// What is no message of the topic never becomes one.
fn decode<T: Topic>(messages: Vec<Delivery>) -> (Batch<T>, Vec<Verdict>) {
    let mut batch = Batch {
        messages: Vec::with_capacity(messages.len()),
    };
    let mut undecodable = Vec::new();
    for Delivery {
        id,
        first_id,
        fields,
        deliveries,
        repeat,
    } in messages
    {
        match T::Message::decode(fields) {
            Ok(message) => batch.messages.push(Received {
                id,
                first_id,
                deliveries,
                repeat,
                message,
            }),
            Err(error) => undecodable.push(Verdict {
                id,
                reason: "undecodable".to_owned(),
                error: shortened(&error.to_string()),
            }),
        }
    }
    (batch, undecodable)
}

/// A batch may honestly take too long, so it is halved; a single message cannot, so a dependency
/// took a call and never answers.
fn too_long(messages: usize) -> Failure {
    let error = format!("no result within {ATTEMPT_LONGEST:?}");
    if messages > 1 {
        return Failure::Failed {
            reason: "timed_out",
            error,
        };
    }
    Failure::Unavailable(Unavailable::new("a dependency", error))
}

fn failure_of(error: &anyhow::Error) -> Failure {
    match unavailable(error) {
        Some(down) => Failure::Unavailable(down.clone()),
        None => Failure::Failed {
            reason: "processing_failed",
            error: shortened(&explain(error)),
        },
    }
}

fn shortened(text: &str) -> String {
    text.chars().take(ERROR_CHARS_MAX).collect()
}
