//! Settling until the bus has taken it.

use std::time::Duration;

use bus::{BusError, Consumer, Settlement};
use tokio_util::sync::CancellationToken;

use crate::waiting::Backoff;

/// After a signal to stop, a settlement is tried this many times more. What is not settled then
/// comes again, which is harmless.
const TRIES_WHEN_STOPPING: u32 = 3;
const WAIT_WHEN_STOPPING: Duration = Duration::from_millis(200);

/// Settles, waiting for a bus that is down and saying so. A settlement may be repeated: the bus settles each
/// message once.
pub(crate) async fn settle(
    consumer: &Consumer,
    settlement: &Settlement,
    stop: &CancellationToken,
    waiting: impl Fn(&BusError),
) -> Result<(), BusError> {
    let mut backoff = Backoff::default();
    let mut tries_left = TRIES_WHEN_STOPPING;
    loop {
        let Err(error) = consumer.settle(settlement).await else {
            return Ok(());
        };
        if stop.is_cancelled() {
            tries_left -= 1;
            tokio::time::sleep(WAIT_WHEN_STOPPING).await;
        }
        if !error.is_unavailable() || tries_left == 0 {
            return Err(error);
        }
        tracing::warn!(%error, "settling failed; waiting for the bus");
        waiting(&error);
        tokio::select! {
            () = stop.cancelled() => {}
            () = tokio::time::sleep(backoff.advance()) => {}
        }
    }
}
