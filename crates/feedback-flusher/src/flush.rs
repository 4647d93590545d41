//! One flush: take the batch, write its documents, tell of them, drop it.
//!
//! Every step may be repeated, by this instance or another: documents are upserted by their natural
//! id, letters and events are written under claims. So a crash between any two steps is finished by
//! whoever takes the batch next.

mod batch;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::{Duration, Instant};

use bus::Bus;
use common::AgentId;
use crash_points::{CrashPoint, reached};
use stores::{FeedbackBatches, FeedbackDocument, FeedbackDocuments, FlushLease, TakenBatch};
use tracing::{info, warn};
use worker::Health;

use crate::created_events;
use crate::failed_tries::FailedTries;
use crate::flush::batch::{Sorted, newest};
use crate::holding::Holding;
use crate::late_letters::LateLetters;
use crate::metrics;
use crate::settings::FlushSettings;
use crate::writing::write;

/// What `/ready` calls the stores.
pub(crate) const BATCHES: &str = "feedback-batches";
pub(crate) const DOCUMENTS: &str = "feedback-documents";
pub(crate) const EVENTS: &str = "feedback-events";

/// Flushes batches.
#[derive(Debug)]
pub(crate) struct Flusher {
    pub(crate) batches: Arc<dyn FeedbackBatches>,
    pub(crate) documents: Arc<dyn FeedbackDocuments>,
    pub(crate) bus: Bus,
    pub(crate) letters: LateLetters,
    pub(crate) holding: Option<Holding>,
    pub(crate) settings: FlushSettings,
    pub(crate) health: Health,
    pub(crate) failed: FailedTries,
}

/// What a flush came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Flushed {
    /// Nothing waits, or another instance flushes.
    Nothing,
    /// The batch is flushed.
    Finished {
        /// It was cut off at its largest size, so more waits.
        more: bool,
    },
    /// It is tried again later.
    Released,
}

/// How long the work on one batch may take. A server that vanished without a word would be waited
/// for without end, and the lease renewed.
const FLUSH_LONGEST: Duration = Duration::from_mins(2);

/// Why a flush is given up for now.
struct Unfinished {
    /// A stable code.
    reason: &'static str,
    error: String,
}

impl Flusher {
    /// Flushes the batch of an agent, if there is one and nobody else does.
    pub(crate) async fn flush(&self, agent: &AgentId) -> Flushed {
        let lease = FlushLease {
            token: uuid::Uuid::new_v4().to_string(),
            length: self.settings.lease(),
            items_max: usize::try_from(self.settings.flush_items_max).unwrap_or(usize::MAX),
        };
        let taken = match self.batches.take(agent, &lease).await {
            Ok(Some(taken)) => taken,
            Ok(None) => return Flushed::Nothing,
            Err(error) => {
                warn!(%agent, %error, "a batch could not be taken");
                self.health.waiting(BATCHES, error.to_string());
                return Flushed::Released;
            }
        };
        reached(CrashPoint::FeedbackTaken);
        let start = Instant::now();
        let worked = tokio::select! {
            worked = tokio::time::timeout(FLUSH_LONGEST, self.work(&taken)) => worked,
            never = self.renew(&taken, &lease) => match never {},
        };
        let too_long = |_| unfinished("timed_out", &"a server did not answer in time");
        let worked = worked.map_err(too_long).flatten();
        let flushed = match worked {
            Ok(()) => self.finish(&taken).await,
            Err(unfinished) => Err(unfinished),
        };
        match flushed {
            Ok(outcome) => {
                metrics::flushed(outcome, start.elapsed());
                let more = taken.items.len() >= lease.items_max;
                Flushed::Finished { more }
            }
            Err(unfinished) => {
                metrics::flushed("released", start.elapsed());
                self.release(&taken, &unfinished).await;
                Flushed::Released
            }
        }
    }

    async fn work(&self, taken: &TakenBatch) -> Result<(), Unfinished> {
        let documents: Vec<FeedbackDocument> = newest(&taken.items).cloned().collect();
        metrics::replaced(taken.items.len() - documents.len());
        let outcomes = write(self.documents.as_ref(), &documents).await;
        let outcomes = outcomes.map_err(|error| {
            self.health.waiting(DOCUMENTS, error.to_string());
            unfinished("documents_unavailable", &error)
        })?;
        self.health.ready(DOCUMENTS);
        reached(CrashPoint::FeedbackWritten);
        let attempts_max = self.settings.attempts_max;
        let sorted = Sorted::of(&documents, outcomes, |id| {
            self.failed.another(id) >= attempts_max
        });
        self.tell(taken, &sorted).await.map_err(|error| {
            self.health.waiting(EVENTS, error.to_string());
            unfinished("bus_unavailable", &error)
        })?;
        self.health.ready(EVENTS);
        let given_up: Vec<&str> = sorted.given_up.keys().copied().collect();
        self.failed.forget(&given_up);
        match sorted.waiting.first() {
            None => Ok(()),
            Some(error) => Err(unfinished("documents_failed", error)),
        }
    }

    /// Writes the dead letters and publishes the events.
    async fn tell(&self, taken: &TakenBatch, sorted: &Sorted<'_>) -> Result<(), bus::BusError> {
        let letters = sorted.letters(&taken.items, taken.attempts);
        self.letters.give_up(&letters).await?;
        let (agent, unreadable) = (&taken.agent_id, &taken.unreadable);
        self.letters
            .give_up_elements(agent, unreadable, taken.attempts)
            .await?;
        let publish_max = usize::from(self.settings.publish_max);
        created_events::publish(&self.bus, &sorted.kept, publish_max).await
    }

    async fn finish(&self, taken: &TakenBatch) -> Result<&'static str, Unfinished> {
        reached(CrashPoint::FeedbackPublished);
        let mine = self.batches.finish(taken).await.map_err(|error| {
            self.health.waiting(BATCHES, error.to_string());
            unfinished("batches_unavailable", &error)
        })?;
        reached(CrashPoint::FeedbackFinished);
        self.health.ready(BATCHES);
        if let Some(holding) = &self.holding {
            holding.done(&taken.items);
        }
        let (agent, items) = (&taken.agent_id, taken.items.len());
        let age_ms = u64::try_from(taken.age.as_millis()).unwrap_or(u64::MAX);
        info!(%agent, items, age_ms, attempts = taken.attempts, mine, "flushed");
        Ok(if mine { "finished" } else { "lost" })
    }

    async fn release(&self, taken: &TakenBatch, unfinished: &Unfinished) {
        let Unfinished { reason, error } = unfinished;
        let longest = self.settings.retry_wait(taken.attempts);
        // Between half of it and all of it, so that many batches spread.
        let wait = longest.mul_f64(0.5 + fastrand::f64() / 2.0);
        let (agent, wait_ms) = (&taken.agent_id, wait.as_secs_f64() * 1_000.0);
        warn!(%agent, attempts = taken.attempts, reason, error, wait_ms, "flushed later");
        metrics::released(reason);
        if let Err(error) = self.batches.release(taken, wait).await {
            warn!(%agent, %error, "not released; the lease will run out");
        }
    }

    /// Renews the lease as long as the work lasts. When it is lost, the work goes on: another does
    /// the same, which is harmless.
    async fn renew(&self, taken: &TakenBatch, lease: &FlushLease) -> std::convert::Infallible {
        let interval = (lease.length / 3).max(Duration::from_millis(1));
        loop {
            tokio::time::sleep(interval).await;
            match self.batches.renew(taken, lease).await {
                Ok(true) => {}
                Ok(false) => warn!(agent = %taken.agent_id, "the lease of a flush was lost"),
                Err(error) => warn!(agent = %taken.agent_id, %error, "a lease was not renewed"),
            }
        }
    }
}

fn unfinished(reason: &'static str, error: &impl ToString) -> Unfinished {
    let error = error.to_string();
    Unfinished { reason, error }
}
