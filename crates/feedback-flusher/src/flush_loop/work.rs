//! What the flush loop has running, and which agents are next.

use std::collections::{BTreeSet, VecDeque};
use std::fmt;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::{Duration, Instant};

use common::AgentId;
use futures_util::FutureExt as _;
use futures_util::StreamExt as _;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;

use crate::flush::{Flushed, Flusher};
use crate::looking::{Look, Looking};

/// What has come to its end.
#[derive(Debug)]
pub(super) enum Ended {
    /// A look, with what is due and how long it took.
    Look(Vec<AgentId>, Duration),
    /// A flush.
    Flush(AgentId, Flushed),
    /// Asking whether servers that were down are back.
    Probe,
}

/// Flushes that run, at most one for each agent, and agents that wait for theirs.
pub(super) struct Work {
    flush_max: usize,
    running: FuturesUnordered<BoxFuture<'static, Ended>>,
    flushing: BTreeSet<AgentId>,
    queue: VecDeque<AgentId>,
    queued: BTreeSet<AgentId>,
}

impl fmt::Debug for Work {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Work").field(&self.flushing).finish()
    }
}

impl Work {
    /// At most so many flushes at a time.
    pub(super) fn new(flush_max: usize) -> Self {
        Self {
            flush_max,
            running: FuturesUnordered::new(),
            flushing: BTreeSet::new(),
            queue: VecDeque::new(),
            queued: BTreeSet::new(),
        }
    }

    /// These are to be flushed, in this order. Those whose flush runs or is queued are left out: a
    /// batch that is due still is when the next look finds it again.
    pub(super) fn add(&mut self, due: Vec<AgentId>) {
        for agent in due {
            if !self.flushing.contains(&agent) && self.queued.insert(agent.clone()) {
                self.queue.push_back(agent);
            }
        }
    }

    /// Begins as many flushes as may run.
    pub(super) fn start_flushes(&mut self, flusher: &Arc<Flusher>) {
        while self.flushing.len() < self.flush_max
            && let Some(agent) = self.queue.pop_front()
        {
            self.queued.remove(&agent);
            self.flushing.insert(agent.clone());
            let flusher = Arc::clone(flusher);
            self.running.push(Box::pin(async move {
                let flush = AssertUnwindSafe(flusher.flush(&agent)).catch_unwind();
                let outcome = flush.await.unwrap_or_else(|_| {
                    tracing::error!(%agent, "a flush panicked; it is tried again after its lease");
                    Flushed::Released
                });
                Ended::Flush(agent, outcome)
            }));
        }
    }

    /// Begins a look for what is due.
    pub(super) fn look(&self, looking: &Arc<Looking>, look: Look) {
        let looking = Arc::clone(looking);
        self.running.push(Box::pin(async move {
            let start = Instant::now();
            let due = looking.look(look).await;
            Ended::Look(due, start.elapsed())
        }));
    }

    /// Asks whether servers that were down are back. It may take long, and nothing waits for it.
    pub(super) fn probe(&self, looking: &Arc<Looking>) {
        let looking = Arc::clone(looking);
        self.running.push(Box::pin(async move {
            looking.see_what_is_back().await;
            Ended::Probe
        }));
    }

    /// Whether a flush runs.
    pub(super) fn is_flushing(&self) -> bool {
        !self.flushing.is_empty()
    }

    /// Waits for the next end; `None` when nothing runs.
    pub(super) async fn next(&mut self) -> Option<Ended> {
        let ended = self.running.next().await?;
        if let Ended::Flush(agent, _) = &ended {
            self.flushing.remove(agent);
        }
        Some(ended)
    }
}
