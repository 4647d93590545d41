//! `millrace dead list`.

use std::process::ExitCode;

use anyhow::Context as _;
use bus::{Bus, BusSettings, DeadLetter, TopicOverview};
use common::topics::{self, TopicInfo};
use serde::Serialize;

use super::letters::{LetterLine, Letters};
use crate::output::{Column, Output, grouped, note};
use crate::{streams, topic_argument};

/// Characters of an error in a table; `dead show` and `--json` show all.
const ERROR_CHARACTERS: usize = 60;

const TOPIC_COLUMNS: &[Column] = &[
    Column::left("topic"),
    Column::right("waiting"),
    Column::right("redriven"),
    Column::right("discarded"),
    Column::right("expired"),
];
const LETTER_COLUMNS: &[Column] = &[
    Column::left("id"),
    Column::left("group"),
    Column::left("reason"),
    Column::right("attempts"),
    Column::left("given up at"),
    Column::left("error"),
];

/// List dead letters of a topic, oldest first; without a topic, how many each has
#[derive(Debug, clap::Args)]
pub(super) struct ListLetters {
    /// The topic whose messages were given up
    #[arg(value_parser = topic_argument::parse)]
    topic: Option<TopicInfo>,
    /// Only those of this reason
    #[arg(long, requires = "topic")]
    reason: Option<String>,
    /// Letters at most
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    count: u32,
    /// Print one JSON object for each letter or topic
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    bus: BusSettings,
}

/// The letters of a topic as JSON.
#[derive(Debug, Serialize)]
struct TopicLine<'a> {
    topic: &'a str,
    waiting: u64,
    redriven: u64,
    discarded: u64,
    expired: u64,
}

impl ListLetters {
    pub(super) async fn run(self) -> anyhow::Result<ExitCode> {
        let bus = self.bus.open()?;
        match &self.topic {
            Some(topic) => self.list(&bus, topic).await?,
            None => self.count(&bus).await?,
        }
        Ok(ExitCode::SUCCESS)
    }

    async fn count(&self, bus: &Bus) -> anyhow::Result<()> {
        let overviews = streams::overviews(bus, topics::ALL).await;
        let overviews = overviews.context("looking at the streams")?;
        let with_letters = overviews.iter().filter(|topic| {
            topic.dead_letters + topic.redriven + topic.discarded + topic.expired > 0
        });
        let mut output = Output::stdout();
        if self.json {
            for topic in with_letters {
                output.json(&topic_line(topic))?;
            }
            return Ok(());
        }
        let row = |topic: &TopicOverview| {
            let numbers = [
                topic.dead_letters,
                topic.redriven,
                topic.discarded,
                topic.expired,
            ];
            [&[topic.name.clone()][..], &numbers.map(grouped)].concat()
        };
        output.table(TOPIC_COLUMNS, with_letters.map(row))?;
        Ok(())
    }

    async fn list(&self, bus: &Bus, topic: &TopicInfo) -> anyhow::Result<()> {
        let mut left = usize::try_from(self.count)?;
        let mut letters = Letters::of(bus, topic, self.reason.as_deref()).await?;
        let mut rows = Vec::new();
        let mut is_more = false;
        while let Some(page) = letters.next().await? {
            is_more = page.len() > left;
            for letter in page.iter().take(left) {
                left -= 1;
                if self.json {
                    Output::stdout().json(&LetterLine::of(topic, letter))?;
                } else {
                    rows.push(row(letter));
                }
            }
            if is_more {
                break;
            }
        }
        if !self.json {
            Output::stdout().table(LETTER_COLUMNS, rows)?;
        }
        if is_more {
            note("there are more: --count shows them");
        }
        Ok(())
    }
}

fn topic_line(topic: &TopicOverview) -> TopicLine<'_> {
    TopicLine {
        topic: &topic.name,
        waiting: topic.dead_letters,
        redriven: topic.redriven,
        discarded: topic.discarded,
        expired: topic.expired,
    }
}

fn row(letter: &DeadLetter) -> Vec<String> {
    vec![
        letter.id.to_string(),
        letter.group.clone(),
        letter.reason.clone(),
        letter.attempts.to_string(),
        letter.failed_at.clone(),
        shortened(&letter.error),
    ]
}

/// One line of at most so many characters.
fn shortened(text: &str) -> String {
    let line = text.lines().next().unwrap_or_default();
    let mut short: String = line.chars().take(ERROR_CHARACTERS).collect();
    if short.len() < text.len() {
        short.push('…');
    }
    short
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_is_cut_to_one_short_line() {
        for (text, expected) in [
            ("short", "short".to_owned()),
            ("two\nlines", "two…".to_owned()),
            (&"ä".repeat(61), "ä".repeat(60) + "…"),
        ] {
            assert_eq!(shortened(text), expected);
        }
    }
}
