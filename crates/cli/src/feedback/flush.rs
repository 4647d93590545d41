//! `millrace feedback flush`.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use common::AgentId;
use stores::{BatchOverview, FeedbackBatches, StoreError};

use super::stores::{Waiting, parse_agent};
use crate::duration;
use crate::output::{Output, note};

/// Between two looks at what still waits.
const LOOK_INTERVAL: Duration = Duration::from_millis(200);

/// Have the batch of an agent, or all, flushed now
#[derive(Debug, clap::Args)]
pub(super) struct Flush {
    /// Only this agent's
    #[arg(long, value_parser = parse_agent)]
    agent: Option<AgentId>,
    /// Wait until what waited at the call is flushed; end with 1 if it is not
    #[arg(long)]
    wait: bool,
    /// How long to wait
    #[arg(long, default_value = "60s", value_parser = duration::parse)]
    timeout: Duration,
    #[command(flatten)]
    waiting: Waiting,
}

impl Flush {
    pub(super) async fn run(self) -> anyhow::Result<ExitCode> {
        let batches = self.waiting.open()?;
        let requested_at = Instant::now();
        let requested = batches.request_flush(self.agent.as_ref()).await;
        let requested = requested.context("asking for the flush")?;
        let what = if requested == 1 { "batch" } else { "batches" };
        Output::stdout().line(&format!("{requested} {what} will be flushed now"))?;
        if !self.wait {
            return Ok(ExitCode::SUCCESS);
        }
        while requested_at.elapsed() < self.timeout {
            let left = left(batches.as_ref(), self.agent.as_ref()).await;
            let left = left.context("looking at the batches")?;
            // What came later is younger than the request.
            if left.iter().all(|batch| batch.age < requested_at.elapsed()) {
                return Ok(ExitCode::SUCCESS);
            }
            tokio::time::sleep(LOOK_INTERVAL).await;
        }
        note("millrace: not everything was flushed in time; is feedback-flusher running?");
        Ok(ExitCode::FAILURE)
    }
}

/// The batches of an agent, or the oldest of all.
async fn left(
    batches: &dyn FeedbackBatches,
    agent: Option<&AgentId>,
) -> Result<Vec<BatchOverview>, StoreError> {
    match agent {
        Some(agent) => batches.of_agent(agent).await,
        None => Ok(batches.overview(1).await?.batches),
    }
}
