//! The task `ledger-pruner`: forgets which messages were applied once they cannot come again.
//!
//! A message that waits as a dead letter can come again for a month, and its effects may be there.
//! Its entry is kept by making it young, so that it stays for a while after the letter has left too:
//! as long as the redriven message is on its way.

use std::sync::Arc;
use std::time::Duration;

use bus::{Bus, GroupOverview, MessageId};
use common::topics::{EventsNormalized, Topic as _, groups};
use common::{Clock, UnixMillis};
use stores::{Features, MessageKey};
use worker::Worker;

use crate::event_processor::key;

/// How often the ledger is pruned.
const INTERVAL: Duration = Duration::from_mins(10);
/// Entries are kept so long at least, for a group that is lost and begins again further back.
const KEPT: Duration = Duration::from_hours(24);
/// Entries that letters need are made young when they are so old: long before they would go.
const KEPT_FOR_LETTERS: Duration = Duration::from_hours(12);
/// Letters that are read at once: any of them may be large.
const PAGE: usize = 50;
/// While more letters wait, nothing is forgotten: so many are looked through within seconds.
const LETTERS_MAX: u64 = 10_000;

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
        if overview.dead_letters > LETTERS_MAX {
            let letters = overview.dead_letters;
            tracing::warn!(letters, "too many dead letters wait; the ledger only grows");
            return Ok(());
        }
        // The floor is known before the letters are read: what was given up since lies above it.
        let now = self.clock.now();
        self.keep_for_letters(&group.name, now).await?;
        let before = now.minus(KEPT).minus(oldest_age(group));
        let forgotten = self
            .features
            .prune_ledger(&group.name, group.floor.major, before)
            .await?;
        tracing::debug!(forgotten, "pruned the ledger");
        Ok(())
    }

    async fn keep_for_letters(&self, stage: &str, now: UnixMillis) -> anyhow::Result<()> {
        let (mut from, mut kept) = (MessageId::ZERO, 0);
        loop {
            let letters = self.bus.dead_letters(&EventsNormalized::INFO, from, PAGE);
            let letters = letters.await?;
            let Some(last) = letters.last() else { break };
            from = last.id.next();
            let first_ids = letters.iter().filter_map(|letter| letter.first_id);
            let messages: Vec<MessageKey> = first_ids.map(key).collect();
            let times = (now.minus(KEPT_FOR_LETTERS), now);
            kept += self.features.keep_ledger(stage, &messages, times).await?;
        }
        tracing::debug!(kept, "kept entries of the ledger for dead letters");
        Ok(())
    }
}

/// For how long the oldest message of a group has been on its way; a redriven one may be among them,
/// and its entry is older by so much.
fn oldest_age(group: &GroupOverview) -> Duration {
    let ages = [group.oldest_undelivered_age, group.oldest_pending_age];
    ages.into_iter().flatten().max().unwrap_or_default()
}

#[cfg(test)]
mod tests;
