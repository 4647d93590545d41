//! `millrace pending`: messages that somebody has and has not settled.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use bus::{Bus, BusSettings, MessageId, PendingMessage};
use common::topics::TopicInfo;
use serde::Serialize;
use worker::ConfigError;

use crate::output::{Column, Output, note};
use crate::{duration, topic_argument};

const COLUMNS: &[Column] = &[
    Column::left("group"),
    Column::left("id"),
    Column::left("holder"),
    Column::right("idle"),
    Column::right("deliveries"),
    Column::left("first failed"),
    Column::left("last failure"),
];

/// Show the messages of a topic that were delivered and are not settled
///
/// A message is held by a consumer that works on it, or it failed and waits for its retry.
#[derive(Debug, clap::Args)]
pub(crate) struct Pending {
    /// The topic
    #[arg(value_parser = topic_argument::parse)]
    topic: TopicInfo,
    /// Only of this consumer group
    #[arg(long)]
    group: Option<String>,
    /// Messages of each group at most, the oldest first
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    count: u32,
    /// Print one JSON object for each message
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    bus: BusSettings,
}

/// A message as JSON.
#[derive(Debug, Serialize)]
struct PendingLine<'a> {
    topic: &'a str,
    group: &'a str,
    id: String,
    /// `null`: it waits for its retry.
    holder: Option<&'a str>,
    idle_ms: u64,
    deliveries: u32,
    first_failed_at: Option<&'a str>,
    last_failure: Option<&'a str>,
}

impl Pending {
    pub(crate) async fn run(self) -> anyhow::Result<ExitCode> {
        let groups = self.groups()?;
        let bus = self.bus.open()?;
        let mut all = Vec::new();
        for group in groups {
            all.push((group, self.read(&bus, group).await?));
        }
        let mut output = Output::stdout();
        if self.json {
            for (group, message) in in_groups(&all) {
                output.json(&self.line(group, message))?;
            }
        } else {
            output.table(COLUMNS, in_groups(&all).map(|(group, it)| row(group, it)))?;
        }
        drop(output);
        if all.iter().all(|(_, messages)| messages.is_empty()) {
            note(&format!("nothing of {} is pending", self.topic.name));
        }
        for (group, messages) in &all {
            if messages.len() == self.page() {
                note(&format!("{group} may have more: --count shows them"));
            }
        }
        Ok(ExitCode::SUCCESS)
    }

    fn groups(&self) -> Result<Vec<&'static str>, ConfigError> {
        let wanted = |group: &&&str| self.group.as_ref().is_none_or(|wanted| wanted == **group);
        let groups: Vec<&'static str> = self.topic.groups.iter().filter(wanted).copied().collect();
        if groups.is_empty() {
            let known = match self.topic.groups {
                [] => "it has none".to_owned(),
                groups => format!("allowed are {}", groups.join(", ")),
            };
            let topic = self.topic.name;
            return Err(ConfigError(format!(
                "{topic} has no such consumer group (--group): {known}"
            )));
        }
        Ok(groups)
    }

    async fn read(&self, bus: &Bus, group: &str) -> anyhow::Result<Vec<PendingMessage>> {
        bus.pending(&self.topic, group, MessageId::ZERO, self.page())
            .await
            .with_context(|| format!("reading what {group} has of {}", self.topic.name))
    }

    fn page(&self) -> usize {
        usize::try_from(self.count).unwrap_or(usize::MAX)
    }

    fn line<'a>(&'a self, group: &'a str, message: &'a PendingMessage) -> PendingLine<'a> {
        PendingLine {
            topic: self.topic.name,
            group,
            id: message.id.to_string(),
            holder: message.consumer.as_deref(),
            idle_ms: millis(message.idle),
            deliveries: message.deliveries,
            first_failed_at: message.first_failed_at.as_deref(),
            last_failure: message.last_failure.as_deref(),
        }
    }
}

/// Milliseconds as JSON shows them.
pub(crate) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

fn in_groups<'a>(
    all: &'a [(&'static str, Vec<PendingMessage>)],
) -> impl Iterator<Item = (&'a str, &'a PendingMessage)> {
    all.iter()
        .flat_map(|(group, messages)| messages.iter().map(|message| (*group, message)))
}

fn row(group: &str, message: &PendingMessage) -> Vec<String> {
    let text = |text: Option<&str>| text.unwrap_or("–").to_owned();
    let holder = message.consumer.as_deref();
    vec![
        group.to_owned(),
        message.id.to_string(),
        holder.unwrap_or("waits for its retry").to_owned(),
        duration::show(message.idle),
        message.deliveries.to_string(),
        text(message.first_failed_at.as_deref()),
        text(message.last_failure.as_deref()),
    ]
}
