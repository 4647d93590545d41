//! Waiting for a condition instead of for a time.

use std::time::{Duration, Instant};

use anyhow::{Result, bail};

const POLL_INTERVAL: Duration = Duration::from_millis(10);

/// Asks until there is an answer; an error naming `what` when there is none by the deadline.
#[expect(
    clippy::disallowed_methods,
    reason = "the one place where a test's thread waits for another process, with a deadline"
)]
pub fn eventually<T>(
    what: &str,
    deadline: Duration,
    mut attempt: impl FnMut() -> Option<T>,
) -> Result<T> {
    let start = Instant::now();
    loop {
        if let Some(answer) = attempt() {
            return Ok(answer);
        }
        if start.elapsed() >= deadline {
            bail!("waited {deadline:?} in vain for {what}");
        }
        std::thread::sleep(POLL_INTERVAL);
    }
}

/// [`eventually`] for a condition that has to be awaited.
pub async fn eventually_async<T>(
    what: &str,
    deadline: Duration,
    mut attempt: impl AsyncFnMut() -> Option<T>,
) -> Result<T> {
    let start = tokio::time::Instant::now();
    loop {
        if let Some(answer) = attempt().await {
            return Ok(answer);
        }
        if start.elapsed() >= deadline {
            bail!("waited {deadline:?} in vain for {what}");
        }
        tokio::time::sleep(POLL_INTERVAL).await;
    }
}
