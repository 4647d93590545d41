//! One stage: takes batches from the bus, has them processed, and settles them.

use std::panic::AssertUnwindSafe;
use std::time::Instant;

use bus::{Consumer, Deliveries, Delivery, MessageId, Verdict};
use common::{Message as _, Topic, Unavailable};
use futures_util::FutureExt as _;
use tokio_util::sync::CancellationToken;

use crate::failure::{explain, unavailable};
use crate::health::Health;
use crate::metrics;
use crate::processor::{Batch, Processor, Received, Verdicts};
use crate::settling;
use crate::waiting::Backoff;

/// The most characters of an error that are kept with a message.
const ERROR_CHARS_MAX: usize = 1_000;

/// A processor at work.
pub(crate) struct Stage<P: Processor> {
    pub(crate) processor: P,
    pub(crate) consumer: Consumer,
    pub(crate) health: Health,
    pub(crate) stop: CancellationToken,
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
    /// Works until the subscription ends. What was not started when the signal to stop comes is
    /// handed back.
    pub(crate) async fn run(self, mut deliveries: Deliveries) -> anyhow::Result<()> {
        while let Some(mut delivered) = deliveries.next().await {
            let messages = std::mem::take(&mut delivered.messages);
            let untouched = if self.stop.is_cancelled() {
                ids_of(&messages)
            } else {
                self.work(messages).await
            };
            // The leases were renewed until here; what is handed back must not be renewed.
            drop(delivered);
            self.hand_back(&untouched).await;
        }
        Ok(())
    }

    /// Gives what could not be processed before the signal to stop.
    async fn work(&self, messages: Vec<Delivery>) -> Vec<(MessageId, u32)> {
        let (batch, undecodable) = decode::<P::Input>(messages);
        if !undecodable.is_empty() {
            metrics::count(metrics::UNDECODABLE, P::GROUP, undecodable.len());
            let settlement = bus::Settlement {
                dead: undecodable,
                ..Default::default()
            };
            self.settle(&settlement).await;
        }
        let mut todo = vec![batch];
        while let Some(mut batch) = todo.pop() {
            if batch.messages.is_empty() {
                continue;
            }
            match self.process(&batch).await {
                Ok(Ok(verdicts)) => self.finish(&batch, verdicts).await,
                Ok(Err((reason, error))) if batch.messages.len() == 1 => {
                    let mut verdicts = Verdicts::all_done();
                    for received in &batch.messages {
                        tracing::error!(stage = P::GROUP, id = %received.id, reason, error, "failed");
                        verdicts.retry(received.id, reason, &error);
                    }
                    self.finish(&batch, verdicts).await;
                }
                Ok(Err((reason, error))) => {
                    metrics::count(metrics::BISECTED, P::GROUP, 1);
                    let messages = batch.messages.len();
                    tracing::warn!(stage = P::GROUP, messages, reason, error, "taking apart");
                    todo.push(batch.split());
                    todo.push(batch);
                }
                Err(Stopped) => {
                    todo.push(batch);
                    let rest = todo.iter().flat_map(|batch| &batch.messages);
                    let rest: Vec<(MessageId, u32)> = rest
                        .map(|received| (received.id, received.deliveries))
                        .collect();
                    return rest;
                }
            }
        }
        Vec::new()
    }

    /// Processes a batch, waiting for dependencies as long as it takes.
    async fn process(
        &self,
        batch: &Batch<P::Input>,
    ) -> Result<Result<Verdicts, (&'static str, String)>, Stopped> {
        let mut backoff = Backoff::default();
        loop {
            let failure = match self.attempt(batch).await {
                Ok(verdicts) => break Ok(Ok(verdicts)),
                Err(failure) => failure,
            };
            let down = match failure {
                Failure::Failed { reason, error } => break Ok(Err((reason, error))),
                Failure::Unavailable(down) => down,
            };
            tracing::warn!(stage = P::GROUP, %down, "waiting; no attempt is counted");
            metrics::count(metrics::WAITED, P::GROUP, 1);
            self.health.waiting(P::GROUP, down.to_string());
            tokio::select! {
                () = self.stop.cancelled() => break Err(Stopped),
                () = tokio::time::sleep(backoff.advance()) => {}
            }
        }
        .inspect(|_| self.health.ready(P::GROUP))
    }

    async fn attempt(&self, batch: &Batch<P::Input>) -> Result<Verdicts, Failure> {
        let started = Instant::now();
        let result = AssertUnwindSafe(self.processor.process(batch))
            .catch_unwind()
            .await;
        metrics::processed(P::GROUP, started.elapsed());
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

    async fn finish(&self, batch: &Batch<P::Input>, verdicts: Verdicts) {
        let settlement = verdicts.settlement(batch, self.consumer.deliveries_max());
        self.settle(&settlement).await;
    }

    async fn settle(&self, settlement: &bus::Settlement) {
        for verdict in &settlement.dead {
            let Verdict { id, reason, error } = verdict;
            tracing::error!(stage = P::GROUP, %id, reason, error, "dead letter");
        }
        if let Err(error) = settling::settle(&self.consumer, settlement, &self.stop).await {
            tracing::warn!(stage = P::GROUP, %error, "not settled; the messages come again");
        }
    }

    async fn hand_back(&self, messages: &[(MessageId, u32)]) {
        if messages.is_empty() {
            return;
        }
        if let Err(error) = self.consumer.hand_back(messages).await {
            tracing::warn!(stage = P::GROUP, %error, "not handed back; the lease will run out");
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
        fields,
        deliveries,
        repeat,
    } in messages
    {
        match T::Message::decode(fields) {
            Ok(message) => batch.messages.push(Received {
                id,
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
