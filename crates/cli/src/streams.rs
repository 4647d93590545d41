//! `millrace streams`: where every message is.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use bus::{Bus, BusError, BusSettings, GroupOverview, TopicOverview};
use common::topics::{self, TopicInfo};
use common::{Topic as _, topics::EventsNormalized, topics::EventsRaw};
use serde_json::json;

use crate::duration;
use crate::output::{Column, Output, grouped, note};

/// How often `--watch` looks.
const WATCH_INTERVAL: Duration = Duration::from_secs(2);
/// How often `--wait-drained` looks.
const DRAIN_INTERVAL: Duration = Duration::from_millis(250);
/// How often `--wait-drained` says what it waits for, at most.
const DRAIN_NOTE_INTERVAL: Duration = Duration::from_secs(1);
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
    Column::right("oldest undelivered"),
];

/// Show every topic and how far its consumer groups are
#[derive(Debug, clap::Args)]
pub(crate) struct Streams {
    /// Only these topics; may be repeated
    #[arg(long = "topic", value_name = "TOPIC", value_parser = parse_topic)]
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
                .try_for_each(|topic| output.json(&as_json(topic)));
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

fn parse_topic(name: &str) -> Result<TopicInfo, String> {
    topics::find(name).copied().ok_or_else(|| {
        let names: Vec<&str> = topics::ALL.iter().map(|topic| topic.name).collect();
        format!("allowed are {}", names.join(", "))
    })
}

/// The topics that exist.
async fn overviews(bus: &Bus, topics: &[TopicInfo]) -> Result<Vec<TopicOverview>, BusError> {
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

fn as_json(topic: &TopicOverview) -> serde_json::Value {
    let millis = |age: Option<Duration>| age.map(|age| u64::try_from(age.as_millis()).ok());
    let groups: Vec<serde_json::Value> = topic
        .groups
        .iter()
        .map(|group| {
            json!({
                "group": group.name,
                "consumers": group.consumers,
                "undelivered": group.undelivered.count,
                "undelivered_exact": group.undelivered.exact,
                "pending": group.pending,
                "retrying": group.retrying,
                "done": group.done,
                "dead": group.dead,
                "vanished": group.vanished,
                "recreated": group.recreated,
                "oldest_undelivered_age_ms": millis(group.oldest_undelivered_age),
                "oldest_pending_age_ms": millis(group.oldest_pending_age),
            })
        })
        .collect();
    json!({
        "topic": topic.name,
        "length": topic.length,
        "published": topic.published,
        "dead_letters": topic.dead_letters,
        "groups": groups,
    })
}

/// Waits until nothing is left. A stage publishes its outputs in the step that settles the input,
/// so a look at the topics in the order of the flow misses nothing that is on its way.
async fn wait_drained(
    bus: &Bus,
    topics: &[TopicInfo],
    limit: Duration,
) -> anyhow::Result<ExitCode> {
    let in_order = |topic: &&TopicInfo| topics.contains(topic);
    let topics: Vec<TopicInfo> = topics::ALL.iter().filter(in_order).copied().collect();
    let started = Instant::now();
    let mut noted: Option<(Instant, String)> = None;
    loop {
        let left = match left(bus, &topics).await {
            Ok(left) if left.is_empty() => break,
            Ok(left) => left.join("; "),
            Err(error) if error.is_unavailable() => error.to_string(),
            Err(error) => return Err(error).context("looking at the streams"),
        };
        if started.elapsed() >= limit {
            note(&format!(
                "millrace: not drained after {}: {left}",
                duration::show(limit)
            ));
            return Ok(ExitCode::FAILURE);
        }
        let is_news = noted
            .as_ref()
            .is_none_or(|(when, text)| when.elapsed() >= DRAIN_NOTE_INTERVAL && *text != left);
        if is_news {
            note(&format!("waiting for {left}"));
            noted = Some((Instant::now(), left));
        }
        tokio::time::sleep(DRAIN_INTERVAL).await;
    }
    let names: Vec<&str> = topics.iter().map(|topic| topic.name).collect();
    let took = duration::show(started.elapsed());
    Output::stdout().line(&format!("drained: {} ({took})", names.join(", ")))?;
    Ok(ExitCode::SUCCESS)
}

async fn left(bus: &Bus, topics: &[TopicInfo]) -> Result<Vec<String>, BusError> {
    let mut all = Vec::new();
    for topic in topics {
        let overview = bus.overview(topic).await?;
        let lines = topic
            .groups
            .iter()
            .filter_map(|group| left_of(&overview, group));
        all.extend(lines);
    }
    Ok(all)
}

/// What a group has not settled; `None` when there is nothing.
fn left_of(topic: &TopicOverview, group: &str) -> Option<String> {
    let place = format!("{}/{group}", topic.name);
    let Some(group) = topic.groups.iter().find(|found| found.name == group) else {
        // Nobody has read what was published.
        return (topic.published > 0).then(|| {
            format!(
                "{place}: {} published, no reader yet",
                grouped(topic.published)
            )
        });
    };
    if group.backlog() == 0 && group.undelivered.exact {
        return None;
    }
    let pending = grouped(group.pending);
    let retrying = match group.retrying {
        0 => String::new(),
        retrying => format!(" ({} of them wait for a retry)", grouped(retrying)),
    };
    Some(format!(
        "{place}: {} undelivered, {pending} pending{retrying}",
        lag(group)
    ))
}

#[cfg(test)]
mod tests {
    use bus::{Count, MessageId};

    use super::*;

    fn topic(published: u64, groups: Vec<GroupOverview>) -> TopicOverview {
        TopicOverview {
            name: "events.raw".to_owned(),
            length: published,
            published,
            dead_letters: 0,
            groups,
        }
    }

    fn group(undelivered: u64, exact: bool, pending: u64, retrying: u64) -> GroupOverview {
        GroupOverview {
            name: "normalizers".to_owned(),
            consumers: 1,
            pending,
            retrying,
            undelivered: Count {
                count: undelivered,
                exact,
            },
            done: 0,
            dead: 0,
            vanished: 0,
            recreated: 0,
            floor: MessageId::ZERO,
            oldest_undelivered_age: None,
            oldest_pending_age: None,
        }
    }

    #[test]
    fn a_topic_is_drained_when_its_group_has_settled_everything() {
        for (overview, expected) in [
            (topic(0, vec![]), None),
            (topic(9, vec![group(0, true, 0, 0)]), None),
            (topic(9, vec![]), Some("9 published, no reader yet")),
            (
                topic(9, vec![group(2, true, 3, 0)]),
                Some("2 undelivered, 3 pending"),
            ),
            (
                topic(9, vec![group(0, true, 3, 1)]),
                Some("0 undelivered, 3 pending (1 of them wait for a retry)"),
            ),
            (
                topic(9, vec![group(10_000, false, 0, 0)]),
                Some("≥10,000 undelivered, 0 pending"),
            ),
        ] {
            let expected = expected.map(|text| format!("events.raw/normalizers: {text}"));
            assert_eq!(left_of(&overview, "normalizers"), expected);
        }
    }

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

    #[test]
    fn topics_are_taken_by_name_only() {
        assert!(parse_topic("events.raw").is_ok());
        assert!(parse_topic("events").is_err_and(|text| text.contains("events.normalized")));
    }
}
