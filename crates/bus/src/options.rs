//! How a subscriber behaves.

use std::time::Duration;

use crate::backoff::RetryPolicy;

/// How a subscriber behaves.
#[derive(Debug, Clone)]
pub struct SubscribeOptions {
    /// Messages in a batch at most.
    pub batch_max: usize,
    /// How long a read waits for messages, and hence how long stopping may take.
    pub read_wait: Duration,
    /// After so long without renewal a message is taken over by others.
    pub lease: Duration,
    /// When failed messages are due again.
    pub retry: RetryPolicy,
    /// Consumers that were idle so long and own nothing are removed.
    pub consumer_idle_max: Duration,
    /// How often finished messages are trimmed and gauges set.
    pub housekeeping_interval: Duration,
    /// The consumer's name; it must be unique for each start of a process.
    pub consumer: String,
}

impl Default for SubscribeOptions {
    fn default() -> Self {
        Self {
            batch_max: 512,
            read_wait: Duration::from_millis(500),
            lease: Duration::from_secs(30),
            retry: RetryPolicy::default(),
            consumer_idle_max: Duration::from_mins(10),
            housekeeping_interval: Duration::from_secs(1),
            consumer: unique_name(),
        }
    }
}

/// Host, process and a number drawn at start: a restarted process is never taken for the old one.
fn unique_name() -> String {
    let host = gethostname::gethostname().to_string_lossy().into_owned();
    let start = uuid::Uuid::new_v4().simple().to_string();
    format!(
        "{host}-{}-{}",
        std::process::id(),
        start.get(..8).unwrap_or_default()
    )
}
