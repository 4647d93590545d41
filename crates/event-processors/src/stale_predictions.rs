//! The task `stale-predictions`: asks anew for predictions that were made too long ago.

use std::sync::Arc;
use std::time::Duration;

use common::Clock;
use stores::Features;
use worker::Worker;

use crate::event_processor::stale_requests;
use crate::settings::Config;

/// How often it is looked for stale predictions.
const INTERVAL: Duration = Duration::from_secs(10);
/// People who are asked for together.
const PAGE: u32 = 500;

/// Asks for predictions that are stale.
#[derive(Debug, Clone)]
pub(crate) struct StalePredictions {
    features: Features,
    clock: Arc<dyn Clock>,
    stale_after: Duration,
}

impl StalePredictions {
    pub(crate) fn new(features: Features, clock: Arc<dyn Clock>, config: &Config) -> Self {
        // A person is asked for at most once in an interval, stale or not.
        let stale_after = config
            .prediction_stale()
            .max(config.prediction_policy().interval);
        Self {
            features,
            clock,
            stale_after,
        }
    }

    pub(crate) fn run(self, worker: &mut Worker) {
        worker.every("stale-predictions", INTERVAL, move || {
            let task = self.clone();
            async move { task.request().await }
        });
    }

    async fn request(&self) -> anyhow::Result<()> {
        let now = self.clock.now();
        let before = now.minus(self.stale_after);
        let causes = |people: &[_]| stale_requests(people, now);
        let requested = self
            .features
            .request_stale(before, (PAGE, now), causes)
            .await?;
        if requested > 0 {
            tracing::info!(requested, "asked for stale predictions");
        }
        Ok(())
    }
}
