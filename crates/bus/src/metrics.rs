//! The metrics of the bus. Labels are topics and groups, never ids.

use common::topics::TopicInfo;
use metrics::{counter, gauge, histogram};

use crate::overview::TopicOverview;
use crate::server::Membership;
use crate::settlement::{Settled, Settlement};

/// Messages published; counter; `topic`.
pub const PUBLISHED: &str = "millrace_bus_published_total";
/// Messages finished; counter; `topic`, `group`.
pub const DONE: &str = "millrace_bus_done_total";
/// Messages that failed and wait for a retry; counter. Alert when it keeps rising.
pub const RETRIED: &str = "millrace_bus_retried_total";
/// Messages that became dead letters, also after they were settled; counter. Alert on any.
pub const DEAD: &str = "millrace_bus_dead_total";
/// Dead letters published again; counter; `topic`.
pub const REDRIVEN: &str = "millrace_bus_redriven_total";
/// Dead letters removed for good by somebody; counter; `topic`.
pub const DISCARDED: &str = "millrace_bus_discarded_total";
/// Outputs that were not published, because their cause had been settled or their claim was taken:
/// repeats that went no further; counter.
pub const WITHHELD: &str = "millrace_bus_outputs_withheld_total";
/// Messages taken over after a failure, a crash or a stall; counter.
pub const CLAIMED: &str = "millrace_bus_claimed_total";
/// Messages that were delivered to nobody and found again; counter.
pub const RECOVERED: &str = "millrace_bus_recovered_total";
/// Pending messages that were gone from the stream; counter. Alert on any: work was lost.
pub const VANISHED: &str = "millrace_bus_vanished_total";
/// Messages that were taken from a consumer that still worked on them; counter.
pub const LEASE_LOST: &str = "millrace_bus_lease_lost_total";
/// Groups that the server had lost; counter. Alert on any.
pub const GROUP_RECREATED: &str = "millrace_bus_group_recreated_total";
/// Messages accepted and not settled; gauge. Alert when it nears the backlog limit.
pub const BACKLOG: &str = "millrace_bus_backlog_messages";
/// Age of the first undelivered message; gauge, seconds. Alert when it keeps rising.
pub const OLDEST_UNDELIVERED: &str = "millrace_bus_oldest_undelivered_seconds";
/// Processes that found messages of a topic on Redis although it lives on Kafka; counter; `topic`.
/// Alert on any: nobody reads them.
pub const LEFT_BEHIND: &str = "millrace_bus_left_behind_total";
/// Messages in a delivered batch; histogram.
pub const BATCH: &str = "millrace_bus_batch_messages";

pub(crate) fn count(name: &'static str, topic: &'static str, group: &'static str, by: u64) {
    if by > 0 {
        counter!(name, "topic" => topic, "group" => group).increment(by);
    }
}

/// Counts what was settled, and the outputs that were not published.
pub(crate) fn settled(member: &Membership, settlement: &Settlement, settled: &Settled) {
    let Membership { topic, group, .. } = *member;
    count(DONE, topic, group, settled.done);
    count(RETRIED, topic, group, settled.retried);
    count(DEAD, topic, group, settled.dead);
    let outputs = u64::try_from(settlement.outputs.len()).unwrap_or(u64::MAX);
    let withheld = outputs.saturating_sub(settled.published);
    count(WITHHELD, topic, group, withheld);
}

pub(crate) fn published(topic: &'static str, by: usize) {
    counter!(PUBLISHED, "topic" => topic).increment(u64::try_from(by).unwrap_or(u64::MAX));
}

pub(crate) fn left_behind(topic: &str) {
    counter!(LEFT_BEHIND, "topic" => topic.to_owned()).increment(1);
}

pub(crate) fn letters(name: &'static str, topic: &'static str, by: usize) {
    if by > 0 {
        counter!(name, "topic" => topic).increment(u64::try_from(by).unwrap_or(u64::MAX));
    }
}

pub(crate) fn batch(topic: &'static str, group: &'static str, messages: usize) {
    let messages = u32::try_from(messages).unwrap_or(u32::MAX);
    histogram!(BATCH, "topic" => topic, "group" => group).record(f64::from(messages));
}

/// Publishes the gauges of one topic.
pub(crate) fn observe(topic: &TopicInfo, overview: &TopicOverview) {
    for group in &overview.groups {
        let labels = [
            ("topic", topic.name.to_owned()),
            ("group", group.name.clone()),
        ];
        let seconds = group.oldest_undelivered_age.map_or(0, |age| age.as_secs());
        gauge!(BACKLOG, &labels).set(approximate(group.backlog()));
        gauge!(OLDEST_UNDELIVERED, &labels).set(approximate(seconds));
    }
}

/// The nearest floating-point number; gauges need no more than 32 bits of it.
fn approximate(value: u64) -> f64 {
    f64::from(u32::try_from(value).unwrap_or(u32::MAX))
}
