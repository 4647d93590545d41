//! The loop that reads, sends and keeps count.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use tokio::io::AsyncRead;
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval, timeout};

use super::batches::{Batch, Batches, LINGER};
use super::input::Input;
use super::order::{Answered, InOrder};
use super::poster::Poster;
use super::progress::ProgressBar;
use super::rejects::Rejects;
use super::resume::{Progress, ResumeFile};
use crate::output::note;
use crate::signals::Signals;

/// How often progress is kept and shown.
const TICK: Duration = Duration::from_secs(1);
/// How long requests under way may take after a signal.
const GRACE: Duration = Duration::from_secs(5);
/// Batches that may be answered before an earlier one is, for each request at a time.
const HELD_PER_REQUEST: u64 = 16;

/// A signal ended the sending.
#[derive(Debug)]
pub(super) struct Interrupted(&'static str);

impl std::fmt::Display for Interrupted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "stopped by {}", self.0)
    }
}

impl std::error::Error for Interrupted {}

/// A sending.
pub(super) struct Sending {
    batches: Batches<Box<dyn AsyncRead + Unpin>>,
    poster: Arc<Poster>,
    requests: JoinSet<(u64, anyhow::Result<Answered>)>,
    requests_max: usize,
    order: InOrder,
    resume: Option<ResumeFile>,
    kept: Progress,
    /// Up to where everything is answered.
    pub(super) progress: Progress,
    pub(super) bar: ProgressBar,
    pub(super) rejects: Rejects,
}

impl Sending {
    pub(super) fn new(
        input: Input,
        poster: Poster,
        (bar, rejects): (ProgressBar, Rejects),
        (batch, concurrency): (u16, u16),
    ) -> Self {
        let linger = input.length.is_none().then_some(LINGER);
        Self {
            batches: Batches::new(input.stream, input.before.place, batch, linger),
            poster: Arc::new(poster),
            requests: JoinSet::new(),
            requests_max: usize::from(concurrency),
            order: InOrder::default(),
            resume: input.resume,
            kept: input.before,
            progress: input.before,
            bar,
            rejects,
        }
    }

    /// Sends everything. Whatever happens, progress is kept, and removed when all is answered.
    pub(super) async fn run(&mut self) -> anyhow::Result<()> {
        let mut signals = Signals::catch().context("catching signals")?;
        let result = match self.until_end(&mut signals).await {
            Err(error) if error.is::<Interrupted>() => {
                self.bar
                    .above(|| note("stopping: waiting for the answers to what was sent"));
                tokio::select! {
                    drained = timeout(GRACE, self.drain()) => drained.unwrap_or(Ok(())).and(Err(error)),
                    _ = signals.next() => Err(error),
                }
            }
            result => result,
        };
        self.bar.end();
        match (&result, &self.resume) {
            (Ok(()), Some(resume)) => {
                self.rejects.flush()?;
                resume.remove()?;
            }
            _ => self.keep()?,
        }
        result
    }

    async fn until_end(&mut self, signals: &mut Signals) -> anyhow::Result<()> {
        let mut tick = interval(TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut is_read = false;
        while !is_read || !self.requests.is_empty() {
            tokio::select! {
                signal = signals.next() => return Err(Interrupted(signal).into()),
                Some(ended) = self.requests.join_next() => self.answered(ended)?,
                _ = tick.tick() => self.keep()?,
                batch = self.batches.next(), if !is_read && has_room(&self.requests, self.requests_max, &self.order) => {
                    match batch? {
                        Some(batch) => self.begin(batch),
                        None => is_read = true,
                    }
                }
            }
        }
        Ok(())
    }

    async fn drain(&mut self) -> anyhow::Result<()> {
        while let Some(ended) = self.requests.join_next().await {
            self.answered(ended)?;
        }
        Ok(())
    }

    fn begin(&mut self, batch: Batch) {
        let number = self.order.begin();
        let poster = Arc::clone(&self.poster);
        self.requests
            .spawn(async move { (number, poster.post(batch).await) });
    }

    fn answered(
        &mut self,
        ended: Result<(u64, anyhow::Result<Answered>), tokio::task::JoinError>,
    ) -> anyhow::Result<()> {
        let (number, answered) = ended.context("a request panicked")?;
        for answered in self.order.finish(number, answered?) {
            self.progress.place = answered.end;
            self.progress.counts += answered.counts;
            self.rejects.tell(&answered.rejects, &self.bar)?;
        }
        self.bar.update(&self.progress, self.poster.trouble());
        Ok(())
    }

    /// Shows progress, and keeps it if it is new.
    fn keep(&mut self) -> anyhow::Result<()> {
        self.bar.update(&self.progress, self.poster.trouble());
        self.rejects.flush()?;
        let Some(resume) = &self.resume else {
            return Ok(());
        };
        if self.progress == self.kept {
            return Ok(());
        }
        if let Err(error) = resume.save(&self.progress) {
            // A folder that cannot be written is no reason not to send what is in it.
            self.bar
                .above(|| note(&format!("millrace: --resume will not work: {error:#}")));
            self.resume = None;
            return Ok(());
        }
        self.kept = self.progress;
        Ok(())
    }
}

/// Whether one more request may begin.
fn has_room(
    requests: &JoinSet<(u64, anyhow::Result<Answered>)>,
    requests_max: usize,
    order: &InOrder,
) -> bool {
    let held_max = HELD_PER_REQUEST.saturating_mul(crate::bounded_lines::count(requests_max));
    requests.len() < requests_max && order.outstanding() < held_max
}
