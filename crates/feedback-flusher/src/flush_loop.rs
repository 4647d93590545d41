//! The task `flush-loop`: finds batches that are due, and flushes some of them at a time.
//!
//! Any instance flushes any agent's batch; taking it is the lock. A quick look, every second, finds
//! what is full, urgent, asked for, or abandoned by an instance that died; the check of
//! `FEEDBACK_WORKER_CHECK_INTERVAL_MS` finds what has waited long enough.

mod work;

use std::sync::Arc;
use std::time::{Duration, Instant};

use common::AgentId;
use worker::CancellationToken;

use crate::flush::{Flushed, Flusher};
use crate::flush_loop::work::{Ended, Work};
use crate::looking::{Look, Looking};
use crate::open_batches::OpenBatches;

/// The time between two looks, unless looking takes long.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);
/// A look takes at most one part in so many of the time, however many batches there are,
const LOOK_SHARE: u32 = 20;
/// unless that would be too seldom.
const LOOK_INTERVAL_MAX: Duration = Duration::from_secs(10);

/// Flushes what is due.
#[derive(Debug)]
pub(crate) struct FlushLoop {
    pub(crate) flusher: Arc<Flusher>,
    pub(crate) looking: Arc<Looking>,
    pub(crate) open: OpenBatches,
    pub(crate) stop: CancellationToken,
    /// After a signal to stop, what a store that forgets holds is flushed for so long at most.
    pub(crate) last_flushes: Duration,
}

impl FlushLoop {
    /// Runs until it is to stop. What is being flushed then is finished; a durable store keeps the
    /// rest, and what another store holds is flushed or handed back.
    pub(crate) async fn run(self) -> anyhow::Result<()> {
        let flush_max = usize::from(self.flusher.settings.flush_concurrency);
        let mut work = Work::new(flush_max);
        let (mut next_look, mut next_check) = (Instant::now(), Instant::now());
        let (mut looking, mut probing) = (false, false);
        loop {
            work.start_flushes(&self.flusher);
            let wait = next_look.saturating_duration_since(Instant::now());
            tokio::select! {
                () = self.stop.cancelled() => break,
                Some(ended) = work.next() => match ended {
                    Ended::Look(due, took) => {
                        looking = false;
                        let wait = (took * LOOK_SHARE).clamp(LOOK_INTERVAL, LOOK_INTERVAL_MAX);
                        next_look = Instant::now() + wait;
                        work.add(due);
                    }
                    Ended::Probe => probing = false,
                    Ended::Flush(agent, flushed) => self.flushed(&mut work, agent, flushed),
                },
                full = self.open.full() => work.add(full),
                () = tokio::time::sleep(wait), if !looking => {
                    looking = true;
                    let check = next_check <= Instant::now();
                    if check {
                        next_check = Instant::now() + self.flusher.settings.check_interval();
                    }
                    let look = if check { Look::Check } else { Look::Quick };
                    work.look(&self.looking, look);
                    if !probing && self.looking.misses_something() {
                        probing = true;
                        work.probe(&self.looking);
                    }
                }
            }
        }
        while work.is_flushing() && work.next().await.is_some() {}
        self.flush_the_rest().await;
        Ok(())
    }

    fn flushed(&self, work: &mut Work, agent: AgentId, flushed: Flushed) {
        if flushed != Flushed::Released {
            self.open.taken(&agent);
        }
        if flushed == (Flushed::Finished { more: true }) {
            work.add(vec![agent]);
        }
    }

    /// Flushes what would be forgotten with the process, as soon as nothing more comes.
    async fn flush_the_rest(&self) {
        let Some(holding) = &self.flusher.holding else {
            return;
        };
        let flushing = async {
            holding.reading_ended().await;
            let flush_max = usize::from(self.flusher.settings.flush_concurrency);
            let mut work = Work::new(flush_max);
            work.add(self.looking.everything().await);
            loop {
                work.start_flushes(&self.flusher);
                match work.next().await {
                    Some(Ended::Flush(agent, Flushed::Finished { more: true })) => {
                        work.add(vec![agent]);
                    }
                    Some(_) => {}
                    None => break,
                }
            }
        };
        if tokio::time::timeout(self.last_flushes, flushing)
            .await
            .is_err()
        {
            tracing::warn!("not everything was flushed in time; the rest is handed back");
        }
        holding.hand_back();
    }
}

#[cfg(test)]
mod tests;
