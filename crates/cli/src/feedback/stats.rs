//! `millrace feedback stats`.

use std::process::ExitCode;

use anyhow::Context as _;
use stores::BatchOverview;

use super::stores::Waiting;
use crate::duration;
use crate::output::{Column, Output, grouped, note};

const COLUMNS: &[Column] = &[
    Column::left("agent"),
    Column::left("state"),
    Column::right("items"),
    Column::right("bytes"),
    Column::right("age"),
    Column::left("urgent"),
    Column::right("attempts"),
];

/// Show the batches that wait for their flush, oldest first
#[derive(Debug, clap::Args)]
pub(super) struct Stats {
    /// Batches at most
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    count: u32,
    /// Print a JSON object
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    waiting: Waiting,
}

impl Stats {
    pub(super) async fn run(self) -> anyhow::Result<ExitCode> {
        let batches = self.waiting.open()?;
        let count = usize::try_from(self.count)?;
        let overview = batches.overview(count).await;
        let overview = overview.context("looking at the batches")?;
        let mut output = Output::stdout();
        if self.json {
            output.json(&overview)?;
            return Ok(ExitCode::SUCCESS);
        }
        output.table(COLUMNS, overview.batches.iter().map(row))?;
        note(&format!(
            "{} items wait in {} batches (store {})",
            grouped(overview.total_items),
            grouped(overview.total_batches),
            batches.name()
        ));
        Ok(ExitCode::SUCCESS)
    }
}

/// The table of some batches.
pub(super) fn table(batches: &[BatchOverview]) -> std::io::Result<()> {
    Output::stdout().table(COLUMNS, batches.iter().map(row))
}

fn row(batch: &BatchOverview) -> Vec<String> {
    vec![
        batch.agent_id.to_string(),
        batch.state.as_str().to_owned(),
        grouped(batch.items),
        grouped(batch.bytes),
        duration::show(batch.age),
        if batch.urgent { "yes" } else { "" }.to_owned(),
        batch.attempts.to_string(),
    ]
}
