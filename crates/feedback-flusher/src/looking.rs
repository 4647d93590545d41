//! Looks for batches that are due, and whether servers that were down are back.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use bus::Bus;
use common::AgentId;
use common::topics::{FeedbackCreatedTopic, Topic as _};
use stores::{DueWhen, FeedbackBatches, FeedbackDocuments, StoreError};
use worker::Health;

use crate::flush::{BATCHES, DOCUMENTS, EVENTS};
use crate::holding::Holding;
use crate::metrics;
use crate::open_batches::OpenBatches;
use crate::settings::FlushSettings;

/// Batches that are found by one look at most; the next look finds the others.
const FOUND_MAX: usize = 1_000;
/// How long looking whether a server is back may take.
const PROBE_LONGEST: Duration = Duration::from_secs(30);
/// Every so many looks the gauges are set.
const LOOKS_PER_GAUGE: u32 = 10;
/// Longer than any batch waits.
const NEVER: Duration = Duration::from_hours(24 * 365);

/// How thorough a look is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Look {
    /// For what is full, urgent, asked for or abandoned.
    Quick,
    /// For what has waited long enough, too.
    Check,
}

/// Looks for what is due.
#[derive(Debug)]
pub(crate) struct Looking {
    pub(crate) batches: Arc<dyn FeedbackBatches>,
    pub(crate) documents: Arc<dyn FeedbackDocuments>,
    pub(crate) bus: Bus,
    pub(crate) open: OpenBatches,
    pub(crate) holding: Option<Holding>,
    pub(crate) settings: FlushSettings,
    pub(crate) health: Health,
    pub(crate) looks: AtomicU32,
}

impl Looking {
    /// Agents whose batch is due. Failures are said in the health, and the next look tries again.
    pub(crate) async fn look(&self, look: Look) -> Vec<AgentId> {
        match self.find(look).await {
            Ok(due) => {
                self.health.ready(BATCHES);
                due
            }
            Err(error) => {
                tracing::warn!(%error, "looking for batches that are due failed");
                self.health.waiting(BATCHES, error.to_string());
                Vec::new()
            }
        }
    }

    /// Agents with any batch, for the end of a store that forgets.
    pub(crate) async fn everything(&self) -> Vec<AgentId> {
        let any = DueWhen {
            items: 0,
            age: Duration::ZERO,
            urgent_age: Duration::ZERO,
        };
        let due = self.batches.due(&any, usize::MAX).await;
        due.unwrap_or_else(|error| {
            tracing::warn!(%error, "nobody knows what waits");
            Vec::new()
        })
    }

    async fn find(&self, look: Look) -> Result<Vec<AgentId>, StoreError> {
        if self.holding.as_ref().is_some_and(Holding::is_full) {
            // Nothing more is read until something is flushed.
            self.batches.request_flush(None).await?;
        }
        let when = self.settings.due_when();
        let when = match look {
            Look::Quick => DueWhen { age: NEVER, ..when },
            Look::Check => when,
        };
        let mut due = self.batches.due(&when, FOUND_MAX).await?;
        if look == Look::Check {
            // In case the store's clock was put back.
            due.extend(self.open.known_for(self.settings.batch_time()));
        }
        let looks = self.looks.fetch_add(1, Ordering::Relaxed);
        if look == Look::Check || looks.is_multiple_of(LOOKS_PER_GAUGE) {
            metrics::waiting(&self.batches.overview(1).await?);
        }
        Ok(due)
    }

    /// Whether a server was found down and nothing was flushed since.
    pub(crate) fn misses_something(&self) -> bool {
        let down = self.health.reasons();
        down.contains_key(DOCUMENTS) || down.contains_key(EVENTS)
    }

    /// A server that was down may be back with nothing left to flush here.
    pub(crate) async fn see_what_is_back(&self) {
        let down = self.health.reasons();
        let documents = tokio::time::timeout(PROBE_LONGEST, self.documents.prepare());
        if down.contains_key(DOCUMENTS) && matches!(documents.await, Ok(Ok(()))) {
            self.health.ready(DOCUMENTS);
        }
        let events = self.bus.overview(&FeedbackCreatedTopic::INFO);
        let events = tokio::time::timeout(PROBE_LONGEST, events);
        if down.contains_key(EVENTS) && matches!(events.await, Ok(Ok(_))) {
            self.health.ready(EVENTS);
        }
    }
}
