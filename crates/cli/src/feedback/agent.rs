//! `millrace feedback agent`.

use std::process::ExitCode;

use anyhow::Context as _;
use common::AgentId;
use serde_json::json;
use stores::FeedbackDocument;

use super::stats;
use super::stores::{Kept, Waiting, parse_agent};
use crate::output::{Column, Output, grouped, note};

/// Characters of what was said that a table shows.
const WORDS_MAX: usize = 60;

const COLUMNS: &[Column] = &[
    Column::left("created at"),
    Column::left("kind"),
    Column::left("user"),
    Column::left("rating"),
    Column::left("words"),
    Column::left("id"),
];

/// Show what waits and what is kept of the feedback on one agent
#[derive(Debug, clap::Args)]
pub(super) struct ShowAgent {
    /// The agent's id
    #[arg(value_parser = parse_agent)]
    agent: AgentId,
    /// Documents at most, the newest
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    count: u32,
    /// Print a JSON object
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    waiting: Waiting,
    #[command(flatten)]
    kept: Kept,
}

impl ShowAgent {
    pub(super) async fn run(self) -> anyhow::Result<ExitCode> {
        let batches = self.waiting.open()?;
        let documents = self.kept.open(&self.waiting)?;
        let waiting = batches.of_agent(&self.agent).await;
        let waiting = waiting.context("looking at the batches")?;
        let newest = documents.of_agent(&self.agent, self.count).await;
        let newest = newest.context("reading the documents")?;
        let count = documents.count(Some(&self.agent)).await;
        let count = count.context("counting the documents")?;
        if self.json {
            Output::stdout().json(&json!({
                "agentId": self.agent,
                "batches": waiting,
                "documentCount": count,
                "documents": newest,
            }))?;
            return Ok(ExitCode::SUCCESS);
        }
        stats::table(&waiting)?;
        Output::stdout().table(COLUMNS, newest.iter().map(row))?;
        note(&format!("{} documents are kept", grouped(count)));
        Ok(ExitCode::SUCCESS)
    }
}

fn row(document: &FeedbackDocument) -> Vec<String> {
    let words = document.text.as_ref().or(document.reaction.as_ref());
    let line = words.and_then(|words| words.lines().next());
    vec![
        document.created_at.to_string(),
        document.kind.to_string(),
        document.user_id.clone(),
        document.rating.clone().unwrap_or_default(),
        line.unwrap_or_default().chars().take(WORDS_MAX).collect(),
        document.feedback_id.clone(),
    ]
}
