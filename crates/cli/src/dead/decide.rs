//! `millrace dead redrive` and `millrace dead discard`.

use std::io::{self, IsTerminal as _, Write as _};
use std::process::ExitCode;

use anyhow::Context as _;
use bus::{Bus, BusSettings, MessageId, Redriven};
use common::topics::TopicInfo;
use serde::Serialize;
use worker::ConfigError;

use super::letters::{Letters, PAGE};
use crate::bounded_lines::count;
use crate::live_line::LiveLine;
use crate::output::{Output, grouped, note};
use crate::topic_argument;

/// Refused letters that are named.
const REFUSALS_MAX: usize = 100;
const TEMPLATE: &str = "{bar:30} {pos} of {len} letters, {wide_msg}";

/// Send dead letters to their topic again, and remove them as letters
#[derive(Debug, clap::Args)]
pub(super) struct Redrive {
    #[command(flatten)]
    choice: Choice,
}

/// Remove dead letters for good
#[derive(Debug, clap::Args)]
pub(super) struct Discard {
    #[command(flatten)]
    choice: Choice,
}

/// Which letters.
#[derive(Debug, clap::Args)]
struct Choice {
    /// The topic whose messages they are
    #[arg(value_parser = topic_argument::parse)]
    topic: TopicInfo,
    /// The ids of the letters, as `dead list` shows them
    #[arg(
        value_name = "ID",
        required_unless_present = "all",
        conflicts_with = "all"
    )]
    ids: Vec<MessageId>,
    /// All that are there now
    #[arg(long)]
    all: bool,
    /// Of all, only those of this reason
    #[arg(long, conflicts_with = "ids")]
    reason: Option<String>,
    /// Do not ask; needed for --all where there is no terminal
    #[arg(long)]
    yes: bool,
    /// Print one line of JSON for each letter, as soon as it is decided
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    bus: BusSettings,
}

/// What is done with them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Deed {
    Redrive,
    Discard,
}

/// What came of it.
#[derive(Debug, Default)]
struct Summary {
    redriven: u64,
    discarded: u64,
    /// Letters that were named, and the messages that they are now.
    sent: Vec<Sent>,
    /// Letters that are not there, perhaps because somebody else has decided meanwhile.
    unknown: u64,
    /// Letters that cannot be sent again, and are still there.
    refused: u64,
    /// The first of them.
    refusals: Vec<Refused>,
}

/// Where a letter has gone.
#[derive(Debug)]
struct Sent {
    letter: String,
    message: String,
}

/// Why one of them was refused.
#[derive(Debug)]
struct Refused {
    id: String,
    why: String,
}

/// A letter as a line of JSON.
#[derive(Debug, Serialize)]
struct Decided<'a> {
    topic: &'static str,
    id: String,
    result: &'static str,
    /// The message that it is now.
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    why: Option<&'a str>,
}

impl Redrive {
    pub(super) async fn run(self) -> anyhow::Result<ExitCode> {
        self.choice.run(Deed::Redrive).await
    }
}

impl Discard {
    pub(super) async fn run(self) -> anyhow::Result<ExitCode> {
        self.choice.run(Deed::Discard).await
    }
}

impl Choice {
    async fn run(self, deed: Deed) -> anyhow::Result<ExitCode> {
        let bus = self.bus.open()?;
        let mut summary = Summary::default();
        let decided = if self.all {
            let overview = bus.overview(&self.topic).await;
            let waiting = overview.context("counting the dead letters")?.dead_letters;
            if !self.is_agreed(deed, waiting)? {
                note("millrace: nothing was changed");
                return Ok(ExitCode::FAILURE);
            }
            self.decide_on_all(&bus, deed, (waiting, &mut summary))
                .await
        } else {
            self.decide_on_named(&bus, deed, &mut summary).await
        };
        // What was done is said, also when the rest failed.
        self.print(deed, &summary)?;
        decided?;
        let is_missing = !self.all && summary.unknown > 0;
        if is_missing || summary.refused > 0 {
            return Ok(ExitCode::FAILURE);
        }
        Ok(ExitCode::SUCCESS)
    }

    async fn decide_on_named(
        &self,
        bus: &Bus,
        deed: Deed,
        summary: &mut Summary,
    ) -> anyhow::Result<()> {
        for ids in self.ids.chunks(PAGE) {
            self.decide(bus, deed, ids, summary).await?;
        }
        Ok(())
    }

    async fn decide_on_all(
        &self,
        bus: &Bus,
        deed: Deed,
        (waiting, summary): (u64, &mut Summary),
    ) -> anyhow::Result<()> {
        let mut line = LiveLine::new(Some(waiting), 0, TEMPLATE);
        let mut letters = Letters::of(bus, &self.topic, self.reason.as_deref()).await?;
        let mut done = 0;
        while let Some(page) = letters.next().await? {
            let ids: Vec<MessageId> = page.iter().map(|letter| letter.id).collect();
            self.decide(bus, deed, &ids, summary).await?;
            done += count(ids.len());
            line.update(done, || summary.text(deed));
        }
        line.end();
        Ok(())
    }

    async fn decide(
        &self,
        bus: &Bus,
        deed: Deed,
        ids: &[MessageId],
        summary: &mut Summary,
    ) -> anyhow::Result<()> {
        match deed {
            Deed::Redrive => {
                let redriven = bus.redrive(&self.topic, ids).await;
                let redriven = redriven.context("sending dead letters again")?;
                for (id, redriven) in ids.iter().zip(redriven) {
                    self.say(*id, &redriven)?;
                    self.name(*id, &redriven, summary);
                    summary.add(*id, redriven);
                }
            }
            Deed::Discard => {
                let discarded = bus.discard(&self.topic, ids).await;
                let discarded = discarded.context("removing dead letters")?;
                for (id, was_there) in ids.iter().zip(discarded) {
                    let (counted, result) = if was_there {
                        (&mut summary.discarded, "discarded")
                    } else {
                        (&mut summary.unknown, "unknown")
                    };
                    *counted += 1;
                    self.line(*id, result, (None, None))?;
                }
            }
        }
        Ok(())
    }

    fn say(&self, id: MessageId, redriven: &Redriven) -> io::Result<()> {
        match redriven {
            Redriven::As(message) => self.line(id, "redriven", (Some(*message), None)),
            Redriven::Unknown => self.line(id, "unknown", (None, None)),
            Redriven::Refused(why) => self.line(id, "refused", (None, Some(why))),
        }
    }

    /// Letters are decided on in pages: what is done is said before the next page is.
    fn line(
        &self,
        id: MessageId,
        result: &'static str,
        (message, why): (Option<MessageId>, Option<&str>),
    ) -> io::Result<()> {
        if !self.json {
            return Ok(());
        }
        Output::stdout().json(&Decided {
            topic: self.topic.name,
            id: id.to_string(),
            result,
            message: message.map(|message| message.to_string()),
            why,
        })
    }

    /// Of letters that were named, it is said what they have become.
    fn name(&self, letter: MessageId, redriven: &Redriven, summary: &mut Summary) {
        if let (Redriven::As(message), false) = (redriven, self.all) {
            let (letter, message) = (letter.to_string(), message.to_string());
            summary.sent.push(Sent { letter, message });
        }
    }

    fn is_agreed(&self, deed: Deed, waiting: u64) -> anyhow::Result<bool> {
        if self.yes || waiting == 0 {
            return Ok(true);
        }
        if !io::stdin().is_terminal() || !io::stderr().is_terminal() {
            let text = "--all changes many letters, and there is no terminal to ask on: add --yes";
            return Err(ConfigError(text.to_owned()).into());
        }
        let verb = match deed {
            Deed::Redrive => "send again",
            Deed::Discard => "remove for good",
        };
        let which = match &self.reason {
            Some(reason) => format!("those of reason {reason} among the"),
            None => "all".to_owned(),
        };
        let (waiting, topic) = (grouped(waiting), self.topic.name);
        let question = format!("{verb} {which} {waiting} dead letters of {topic}? [y/N] ");
        io::stderr().write_all(question.as_bytes())?;
        let mut answer = String::new();
        io::stdin().read_line(&mut answer)?;
        Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
    }

    fn print(&self, deed: Deed, summary: &Summary) -> io::Result<()> {
        if self.json {
            note(&format!("millrace: {}", summary.text(deed)));
            return Ok(());
        }
        for Refused { id, why } in &summary.refusals {
            note(&format!("{id}: {why}"));
        }
        let mut output = Output::stdout();
        for Sent { letter, message } in &summary.sent {
            output.line(&format!("{letter} is {message} now"))?;
        }
        output.line(&summary.text(deed))
    }
}

impl Summary {
    fn add(&mut self, id: MessageId, redriven: Redriven) {
        match redriven {
            Redriven::As(_) => self.redriven += 1,
            Redriven::Unknown => self.unknown += 1,
            Redriven::Refused(why) => {
                self.refused += 1;
                if self.refusals.len() < REFUSALS_MAX {
                    let id = id.to_string();
                    self.refusals.push(Refused { id, why });
                }
            }
        }
    }

    fn text(&self, deed: Deed) -> String {
        let mut text = match deed {
            Deed::Redrive => format!("{} sent again", grouped(self.redriven)),
            Deed::Discard => format!("{} removed", grouped(self.discarded)),
        };
        for (count, what) in [(self.refused, "refused"), (self.unknown, "not there")] {
            if count > 0 {
                text = format!("{text}, {} {what}", grouped(count));
            }
        }
        text
    }
}
