//! The task `ledger-pruner`: forgets which messages were applied once they cannot come again.

use std::sync::Arc;
use std::time::Duration;

use bus::Bus;
use common::Clock;
use common::topics::{EventsNormalized, Topic as _, groups};
use stores::Features;
use worker::Worker;

/// How often the ledger is pruned.
const INTERVAL: Duration = Duration::from_mins(10);
/// Entries are kept so long at least, for a group that is lost and begins again further back.
const KEPT: Duration = Duration::from_hours(24);

/// Prunes the ledger.
#[derive(Debug, Clone)]
pub(crate) struct LedgerPruner {
    bus: Bus,
    features: Features,
    clock: Arc<dyn Clock>,
}

impl LedgerPruner {
    pub(crate) fn new(bus: Bus, features: Features, clock: Arc<dyn Clock>) -> Self {
        Self {
            bus,
            features,
            clock,
        }
    }

    pub(crate) fn run(self, worker: &mut Worker) {
        worker.every("ledger-pruner", INTERVAL, move || {
            let pruner = self.clone();
            async move { pruner.prune().await }
        });
    }

    async fn prune(&self) -> anyhow::Result<()> {
        let overview = self.bus.overview(&EventsNormalized::INFO).await?;
        let group = overview
            .groups
            .iter()
            .find(|group| group.name == groups::EVENT_PROCESSORS);
        let Some(group) = group else { return Ok(()) };
        let before = self.clock.now().minus(KEPT);
        let forgotten = self
            .features
            .prune_ledger(&group.name, group.floor.major, before)
            .await?;
        tracing::debug!(forgotten, "pruned the ledger");
        Ok(())
    }
}
