//! Whether more may be accepted: too much unfinished work is held back by asking senders to wait.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bus::{Bus, BusSettings};
use common::topics::TopicInfo;
use worker::Worker;

/// How often the backlog is looked at. What comes in between is the overshoot of the limit.
const INTERVAL: Duration = Duration::from_millis(500);

/// The backlog of the topics that events go through. Clones are the same.
#[derive(Debug, Clone)]
pub(crate) struct Backlog {
    bus: Bus,
    topics: Vec<TopicInfo>,
    limit: u64,
    full: Arc<AtomicBool>,
}

impl Backlog {
    pub(crate) fn new(bus: &Bus, topics: &[TopicInfo], settings: &BusSettings) -> Self {
        Self {
            bus: bus.clone(),
            topics: topics.to_vec(),
            limit: settings.backlog_max,
            full: Arc::default(),
        }
    }

    /// Whether nothing more should be accepted now.
    pub(crate) fn is_full(&self) -> bool {
        self.full.load(Ordering::Relaxed)
    }

    /// Keeps looking until the worker stops.
    pub(crate) fn watched(self, worker: &mut Worker) -> Self {
        let backlog = self.clone();
        worker.every("backlog", INTERVAL, move || {
            let backlog = backlog.clone();
            async move { backlog.look().await }
        });
        self
    }

    async fn look(&self) -> anyhow::Result<()> {
        let mut full = false;
        for topic in &self.topics {
            let overview = self.bus.overview(topic).await?;
            full |= overview
                .groups
                .iter()
                .any(|group| group.backlog() >= self.limit);
        }
        if self.full.swap(full, Ordering::Relaxed) != full {
            tracing::warn!(full, limit = self.limit, "the backlog limit");
        }
        Ok(())
    }
}
