//! `millrace streams`: where every message is.

mod draining;
mod json;

use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use bus::{Bus, BusError, BusSettings, GroupOverview, TopicOverview};
use common::topics::{self, TopicInfo};
use common::{Topic as _, topics::EventsNormalized, topics::EventsRaw};

use crate::output::{Column, Output, grouped};
use crate::{duration, topic_argument};
use draining::wait_drained;
use json::TopicLine;

/// How often `--watch` looks.
const WATCH_INTERVAL: Duration = Duration::from_secs(2);
/// The topics whose groups have workers.
const CONSUMED: [TopicInfo; 2] = [EventsRaw::INFO, EventsNormalized::INFO];
/// Moves to the top of a terminal and clears it.
const CLEAR: &str = "\u{1b}[H\u{1b}[2J";

const COLUMNS: &[Column] = &[
    Column::left("topic"),
    Column::right("length"),
    Column::right("published"),
    Column::left("group"),
    Column::right("lag"),
    Column::right("pending"),
    Column::right("retrying"),
    Column::right("dead"),
    Column::right("done"),
    Column::right("oldest"),
];

/// Show every topic and how far its consumer groups are
#[derive(Debug, clap::Args)]
pub(crate) struct Streams {
    /// Only these topics; may be repeated
    #[arg(long = "topic", value_name = "TOPIC", value_parser = topic_argument::parse)]
    topics: Vec<TopicInfo>,
    /// Print one JSON object for each topic
    #[arg(long)]
    json: bool,
    /// Print it again every two seconds
    #[arg(long, conflicts_with = "wait_drained")]
    watch: bool,
    /// Wait until no message is undelivered or pending, at most so long; without --topic, of
    /// events.raw and events.normalized
    #[arg(long, value_name = "DURATION", value_parser = duration::parse)]
    wait_drained: Option<Duration>,
    #[command(flatten)]
    bus: BusSettings,
}

impl Streams {
    pub(crate) async fn run(self) -> anyhow::Result<ExitCode> {
        let bus = self.bus.open()?;
        if let Some(limit) = self.wait_drained {
            let topics = if self.topics.is_empty() {
                &CONSUMED[..]
            } else {
                &self.topics
            };
            return wait_drained(&bus, topics, limit).await;
        }
        let topics = if self.topics.is_empty() {
            topics::ALL
        } else {
            &self.topics
        };
        loop {
            let overviews = overviews(&bus, topics)
                .await
                .context("looking at the streams")?;
            self.print(&overviews)?;
            if !self.watch {
                return Ok(ExitCode::SUCCESS);
            }
            tokio::time::sleep(WATCH_INTERVAL).await;
        }
    }

    fn print(&self, overviews: &[TopicOverview]) -> std::io::Result<()> {
        let mut output = Output::stdout();
        if self.json {
            return overviews
                .iter()
                .try_for_each(|topic| output.json(&TopicLine::of(topic)));
        }
        if self.watch && std::io::IsTerminal::is_terminal(&output.0) {
            output.line(CLEAR)?;
        }
        output.table(COLUMNS, overviews.iter().flat_map(rows))?;
        for topic in overviews {
            for group in topic.groups.iter().filter(|group| group.vanished > 0) {
                let lost = grouped(group.vanished);
                let place = format!("{}/{}", topic.name, group.name);
                output.line(&format!(
                    "LOST: {lost} messages of {place} were deleted while pending"
                ))?;
            }
        }
        Ok(())
    }
}

/// The topics that exist.
pub(crate) async fn overviews(
    bus: &Bus,
    topics: &[TopicInfo],
) -> Result<Vec<TopicOverview>, BusError> {
    let mut all = Vec::with_capacity(topics.len());
    for topic in topics {
        let overview = bus.overview(topic).await?;
        if overview.published > 0 || overview.dead_letters > 0 || !overview.groups.is_empty() {
            all.push(overview);
        }
    }
    Ok(all)
}

fn rows(topic: &TopicOverview) -> Vec<Vec<String>> {
    let first = |group: &[String]| {
        let topic = [
            topic.name.clone(),
            grouped(topic.length),
            grouped(topic.published),
        ];
        [&topic[..], group].concat()
    };
    if topic.groups.is_empty() {
        let nothing = [("–", 4), ("", 0), ("–", 3)];
        let cells = nothing
            .iter()
            .flat_map(|(text, times)| vec![(*text).to_owned(); *times]);
        return vec![first(&cells.collect::<Vec<String>>())];
    }
    let mut groups: Vec<&GroupOverview> = topic.groups.iter().collect();
    groups.sort_by(|one, other| one.name.cmp(&other.name));
    groups
        .into_iter()
        .map(|group| first(&group_cells(group)))
        .collect()
}

fn group_cells(group: &GroupOverview) -> [String; 7] {
    let age = group.oldest_undelivered_age.map(duration::show);
    [
        group.name.clone(),
        lag(group),
        grouped(group.pending),
        grouped(group.retrying),
        grouped(group.dead),
        grouped(group.done),
        age.unwrap_or_else(|| "–".to_owned()),
    ]
}

fn lag(group: &GroupOverview) -> String {
    let at_least = if group.undelivered.exact { "" } else { "≥" };
    format!("{at_least}{}", grouped(group.undelivered.count))
}

/// Overviews for the tests of this folder.
#[cfg(test)]
mod examples {
    use bus::Count;

    use super::*;

    pub(super) fn topic(published: u64, groups: Vec<GroupOverview>) -> TopicOverview {
        TopicOverview {
            name: "events.raw".to_owned(),
            length: published,
            published,
            groups,
            ..TopicOverview::default()
        }
    }

    pub(super) fn group(
        undelivered: u64,
        exact: bool,
        pending: u64,
        retrying: u64,
    ) -> GroupOverview {
        GroupOverview {
            name: "normalizers".to_owned(),
            consumers: 1,
            pending,
            retrying,
            undelivered: Count {
                count: undelivered,
                exact,
            },
            ..GroupOverview::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::examples::{group, topic};
    use super::*;

    #[test]
    fn every_row_has_a_cell_for_every_column() {
        for overview in [
            topic(1, vec![]),
            topic(1, vec![group(0, true, 0, 0), group(1, false, 0, 0)]),
        ] {
            for row in rows(&overview) {
                assert_eq!(row.len(), COLUMNS.len());
            }
        }
        assert_eq!(rows(&topic(1, vec![group(5, false, 0, 0)]))[0][4], "≥5");
    }
}
