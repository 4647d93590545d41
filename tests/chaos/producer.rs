//! An independent sender in a thread of its own, which knows what was accepted.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Result, anyhow};

use crate::mill::Source;

/// How much is sent.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Plan {
    /// At least; more as long as the fault lasts.
    pub(crate) at_least: u64,
    pub(crate) at_most: u64,
    /// Between two requests.
    pub(crate) pace: Duration,
}

/// A running sender.
#[derive(Debug)]
pub(crate) struct Producer<S> {
    sent: Arc<AtomicU64>,
    stop: mpsc::Sender<()>,
    thread: JoinHandle<Result<S>>,
}

impl<S: Source> Producer<S> {
    pub(crate) fn start(source: S, plan: Plan) -> Self {
        let sent = Arc::new(AtomicU64::new(0));
        let (stop, stopped) = mpsc::channel();
        let count = Arc::clone(&sent);
        let thread = std::thread::spawn(move || send(source, plan, &count, &stopped));
        Self { sent, stop, thread }
    }

    /// How much was accepted so far.
    pub(crate) fn sent(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }

    /// Whether it sends no more.
    pub(crate) fn has_ended(&self) -> bool {
        self.thread.is_finished()
    }

    /// Has it send the least that is left, and waits for that.
    pub(crate) fn finish(self) -> Result<S> {
        // Gone already when it has sent the most.
        self.stop.send(()).ok();
        self.thread
            .join()
            .map_err(|_| anyhow!("the sender panicked"))?
    }
}

fn send<S: Source>(
    mut source: S,
    plan: Plan,
    count: &AtomicU64,
    stopped: &mpsc::Receiver<()>,
) -> Result<S> {
    let at_most = plan.at_most.min(S::MOST);
    let mut sent = 0;
    let mut stopping = false;
    while sent < plan.at_least || (!stopping && sent < at_most) {
        source.send(sent..sent + S::BATCH)?;
        sent += S::BATCH;
        count.store(sent, Ordering::Relaxed);
        stopping |= stopped.recv_timeout(plan.pace) != Err(RecvTimeoutError::Timeout);
    }
    Ok(source)
}
