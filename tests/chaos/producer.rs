//! An independent sender in a thread of its own, with its own ledger of what was accepted.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Result, anyhow};
use tests::{Sale, Sender};

/// Buyers of a brand; few, so that their rows are fought over.
const BUYERS: u64 = 37;
/// Events of a request.
const BATCH: u64 = 25;
/// Each sale has a minute of January of its own.
const SALES_MAX: u64 = 31 * 24 * 60;
/// How long one request is repeated: longer than any fault.
const PATIENCE: Duration = Duration::from_mins(3);

/// What is sent.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    pub(crate) brand: String,
    pub(crate) apis: Vec<String>,
    /// Events at least; more as long as the fault lasts.
    pub(crate) at_least: u64,
    pub(crate) at_most: u64,
    /// Between two requests.
    pub(crate) pace: Duration,
}

/// A running sender.
#[derive(Debug)]
pub(crate) struct Producer {
    sent: Arc<AtomicU64>,
    stop: mpsc::Sender<()>,
    thread: JoinHandle<Result<Sender>>,
}

impl Producer {
    pub(crate) fn start(plan: Plan) -> Self {
        let sent = Arc::new(AtomicU64::new(0));
        let (stop, stopped) = mpsc::channel();
        let count = Arc::clone(&sent);
        let thread = std::thread::spawn(move || send(&plan, &count, &stopped));
        Self { sent, stop, thread }
    }

    /// How many events were accepted so far; an error when the sender has given up.
    pub(crate) fn sent(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }

    /// Whether it sends no more.
    pub(crate) fn has_ended(&self) -> bool {
        self.thread.is_finished()
    }

    /// Has it send the least that is left, and waits for that.
    pub(crate) fn finish(self) -> Result<Sender> {
        // Gone already when it has sent the most.
        self.stop.send(()).ok();
        self.thread
            .join()
            .map_err(|_| anyhow!("the sender panicked"))?
    }
}

fn send(plan: &Plan, count: &AtomicU64, stopped: &mpsc::Receiver<()>) -> Result<Sender> {
    let mut sender = Sender::to_any(&plan.apis, &plan.brand, PATIENCE);
    let at_most = plan.at_most.min(SALES_MAX);
    let mut sent = 0;
    let mut stopping = false;
    while sent < plan.at_least || (!stopping && sent < at_most) {
        let sales: Vec<Sale> = (sent..sent + BATCH).map(sale).collect();
        sender.send(&sales)?;
        sent += BATCH;
        count.store(sent, Ordering::Relaxed);
        stopping |= stopped.recv_timeout(plan.pace) != Err(RecvTimeoutError::Timeout);
    }
    Ok(sender)
}

/// The sale of that number.
pub(crate) fn sale(number: u64) -> Sale {
    let (day, minute) = (number / 1_440, number % 1_440);
    Sale {
        event_id: format!("sale-{number}"),
        user_id: format!("buyer-{}", number * 31 % BUYERS),
        timestamp: format!(
            "2026-01-{:02}T{:02}:{:02}:00Z",
            1 + day,
            minute / 60,
            minute % 60
        ),
        cents: i64::try_from(number % 10_000).unwrap_or(0),
    }
}
