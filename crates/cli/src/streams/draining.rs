//! Waiting until every message is settled.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use bus::{Bus, BusError, TopicOverview};
use common::topics::{self, TopicInfo};

use super::lag;
use crate::duration;
use crate::output::{Output, grouped, note};

/// How often it looks.
const DRAIN_INTERVAL: Duration = Duration::from_millis(250);
/// How often it says what it waits for, at most.
const DRAIN_NOTE_INTERVAL: Duration = Duration::from_secs(1);

/// Waits until nothing is left. A stage publishes its outputs in the step that settles the input,
/// so a look at the topics in the order of the flow misses nothing that is on its way.
pub(super) async fn wait_drained(
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
    use super::super::examples::{group, topic};
    use super::*;

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
}
