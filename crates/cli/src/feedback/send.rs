//! `millrace feedback send`.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use bus::{Bus, BusSettings};
use common::topics::{FeedbackReactions, FeedbackReplies};
use common::{Clock as _, UnixMillis};
use tokio::io::AsyncRead;
use worker::{ConfigError, SystemClock};

use super::given::Given;
use crate::bounded_lines::BoundedLines;
use crate::output::{Output, grouped, note};

/// Lines that are published together.
const BATCH: usize = 500;
/// Bytes of a line at most: the largest item and its quotes.
const LINE_BYTES_MAX: usize = 32 * 1024 * 1024;
/// Bad lines that are shown.
const COMPLAINTS_MAX: u64 = 20;

/// Publish feedback on the bus: one piece by options, or a JSON object on each line of a file
///
/// Lines have the fields of the messages: agentId, roomId, messageId, userId, createdAt, and text or
/// reaction. The same feedback sent again is the same document.
#[derive(Debug, clap::Args)]
#[command(group = clap::ArgGroup::new("what").required(true).args(["file", "reply", "reaction"]))]
pub(super) struct SendFeedback {
    /// A file of lines; - is stdin
    file: Option<PathBuf>,
    #[command(flatten)]
    one: One,
    #[command(flatten)]
    bus: BusSettings,
}

/// One piece of feedback.
#[derive(Debug, clap::Args)]
struct One {
    /// The words of a written answer
    #[arg(long, requires = "agent")]
    reply: Option<String>,
    /// A reaction, such as 👍 or `thumbs_down`
    #[arg(long, requires = "agent")]
    reaction: Option<String>,
    /// The agent that it is about
    #[arg(long)]
    agent: Option<String>,
    /// The room it is given in
    #[arg(long, default_value = "")]
    room: String,
    /// The message it is about
    #[arg(long, default_value = "")]
    message: String,
    /// Who gives it
    #[arg(long, default_value = "")]
    user: String,
    /// The rating of a written answer
    #[arg(long, requires = "reply")]
    rating: Option<String>,
    /// Its own id; otherwise it is known by its message, and a reaction by its user too
    #[arg(long)]
    id: Option<String>,
    /// When it was given, as an RFC 3339 time stamp; otherwise now
    #[arg(long)]
    created_at: Option<UnixMillis>,
    /// Another field, such as priority=high; may be repeated
    #[arg(long, value_name = "NAME=VALUE", value_parser = parse_field)]
    field: Vec<(String, String)>,
}

/// What was published and what could not be.
#[derive(Debug, Default)]
struct Tally {
    sent: u64,
    bad: u64,
}

impl SendFeedback {
    pub(super) async fn run(self) -> anyhow::Result<ExitCode> {
        let bus = self.bus.open()?;
        let mut tally = Tally::default();
        if let Some(path) = &self.file {
            tally.send_lines(&bus, open(path).await?).await?;
        } else {
            let given = self.one.given().map_err(ConfigError)?;
            tally.publish(&bus, vec![given]).await?;
        }
        Output::stdout().line(&format!("sent {}", grouped(tally.sent)))?;
        if tally.bad > 0 {
            note(&format!(
                "millrace: {} lines are no feedback",
                grouped(tally.bad)
            ));
            return Ok(ExitCode::FAILURE);
        }
        Ok(ExitCode::SUCCESS)
    }
}

impl Tally {
    async fn send_lines(
        &mut self,
        bus: &Bus,
        input: Box<dyn AsyncRead + Unpin>,
    ) -> anyhow::Result<()> {
        let mut lines = BoundedLines::new(input, 0, LINE_BYTES_MAX);
        let mut waiting = Vec::new();
        let mut number = 0_u64;
        while let Some(line) = lines.next().await.context("reading a line")? {
            number += 1;
            if line.bytes.trim_ascii().is_empty() && line.cut == 0 {
                continue;
            }
            let given = match line.cut {
                0 => Given::of_json(&line.bytes, SystemClock.now()),
                _ => Err(format!("it has more than {LINE_BYTES_MAX} bytes")),
            };
            match given {
                Ok(given) => waiting.push(given),
                Err(why) => self.complain(number, &why),
            }
            if waiting.len() >= BATCH {
                self.publish(bus, std::mem::take(&mut waiting)).await?;
            }
        }
        self.publish(bus, waiting).await
    }

    /// Publishes some feedback, each piece in the place that its agent has in the topic.
    async fn publish(&mut self, bus: &Bus, all: Vec<Given>) -> anyhow::Result<()> {
        let (mut replies, mut reactions) = (Vec::new(), Vec::new());
        for given in all {
            match given {
                Given::Reply(reply) => replies.push(reply),
                Given::Reaction(reaction) => reactions.push(reaction),
            }
        }
        let sent = bus.publish::<FeedbackReplies>(&replies).await;
        self.count(sent.context("publishing replies")?.len());
        let sent = bus.publish::<FeedbackReactions>(&reactions).await;
        self.count(sent.context("publishing reactions")?.len());
        Ok(())
    }

    fn count(&mut self, sent: usize) {
        self.sent += u64::try_from(sent).unwrap_or(0);
    }

    fn complain(&mut self, number: u64, why: &str) {
        self.bad += 1;
        if self.bad <= COMPLAINTS_MAX {
            note(&format!("line {number}: {why}"));
        }
    }
}

impl One {
    fn given(&self) -> Result<Given, String> {
        let created_at = self.created_at.unwrap_or_else(|| SystemClock.now());
        let mut fields = vec![
            ("agentId".to_owned(), self.agent.clone().unwrap_or_default()),
            ("roomId".to_owned(), self.room.clone()),
            ("messageId".to_owned(), self.message.clone()),
            ("userId".to_owned(), self.user.clone()),
            ("createdAt".to_owned(), created_at.to_string()),
        ];
        for (name, value) in [
            ("text", &self.reply),
            ("reaction", &self.reaction),
            ("rating", &self.rating),
            ("feedbackId", &self.id),
        ] {
            fields.extend(value.clone().map(|value| (name.to_owned(), value)));
        }
        fields.extend(self.field.iter().cloned());
        Given::of_fields(self.reaction.is_some(), fields)
    }
}

async fn open(path: &Path) -> anyhow::Result<Box<dyn AsyncRead + Unpin>> {
    if path == Path::new("-") {
        return Ok(Box::new(tokio::io::stdin()));
    }
    let file = tokio::fs::File::open(path).await;
    let file = file.with_context(|| format!("opening {}", path.display()))?;
    Ok(Box::new(file))
}

fn parse_field(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("allowed is a name, =, and a value, such as priority=high".to_owned()),
    }
}
