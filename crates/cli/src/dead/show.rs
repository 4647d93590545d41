//! `millrace dead show`.

use std::process::ExitCode;

use anyhow::Context as _;
use bus::{BusSettings, DeadLetter, MessageId};
use common::topics::TopicInfo;

use super::letters::{LetterLine, texts};
use crate::output::{Column, Output, note};
use crate::topic_argument;

const COLUMNS: &[Column] = &[Column::left("what"), Column::left("value")];

/// Show one dead letter: why it was given up, and the message itself
#[derive(Debug, clap::Args)]
pub(super) struct ShowLetter {
    /// The topic whose message it is
    #[arg(value_parser = topic_argument::parse)]
    topic: TopicInfo,
    /// The letter's id, as `dead list` shows it
    id: MessageId,
    /// Print a JSON object
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    bus: BusSettings,
}

impl ShowLetter {
    pub(super) async fn run(self) -> anyhow::Result<ExitCode> {
        let letter = self.bus.open()?.dead_letter(&self.topic, self.id).await;
        let Some(letter) = letter.context("reading the dead letter")? else {
            let topic = self.topic.name;
            note(&format!(
                "millrace: {topic} has no dead letter {}; `millrace dead list {topic}` shows which",
                self.id
            ));
            return Ok(ExitCode::FAILURE);
        };
        let mut output = Output::stdout();
        if self.json {
            output.json(&LetterLine::of(&self.topic, &letter).with_fields(&letter))?;
        } else {
            output.table(COLUMNS, rows(&letter))?;
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn rows(letter: &DeadLetter) -> Vec<Vec<String>> {
    let source = letter.source_id.map(|id| id.to_string());
    let known = [
        ("reason", letter.reason.clone()),
        ("error", letter.error.clone()),
        ("was message", source.unwrap_or_else(|| "–".to_owned())),
        ("given up by", letter.group.clone()),
        ("worker", letter.worker.clone()),
        ("attempts", letter.attempts.to_string()),
        ("first failed at", letter.first_failed_at.clone()),
        ("given up at", letter.failed_at.clone()),
        ("part", letter.part.clone().unwrap_or_default()),
    ];
    let known = known.into_iter().filter(|(_, value)| !value.is_empty());
    let known = known.map(|(what, value)| vec![what.to_owned(), value]);
    let fields = texts(letter).map(|(name, value)| vec![format!("field {name}"), value]);
    known.chain(fields).collect()
}
