//! A topic as one line of JSON.

use std::time::Duration;

use bus::{GroupOverview, TopicOverview};
use serde::Serialize;

/// A topic as JSON.
#[derive(Debug, Serialize)]
pub(super) struct TopicLine<'a> {
    topic: &'a str,
    length: u64,
    published: u64,
    dead_letters: u64,
    groups: Vec<GroupPart<'a>>,
}

/// A group within it.
#[derive(Debug, Serialize)]
struct GroupPart<'a> {
    group: &'a str,
    consumers: u64,
    undelivered: u64,
    undelivered_exact: bool,
    pending: u64,
    retrying: u64,
    done: u64,
    dead: u64,
    vanished: u64,
    recreated: u64,
    oldest_undelivered_age_ms: Option<u64>,
    oldest_pending_age_ms: Option<u64>,
}

impl<'a> TopicLine<'a> {
    pub(super) fn of(topic: &'a TopicOverview) -> Self {
        Self {
            topic: &topic.name,
            length: topic.length,
            published: topic.published,
            dead_letters: topic.dead_letters,
            groups: topic.groups.iter().map(GroupPart::of).collect(),
        }
    }
}

impl<'a> GroupPart<'a> {
    fn of(group: &'a GroupOverview) -> Self {
        let millis = |age: Duration| u64::try_from(age.as_millis()).unwrap_or(u64::MAX);
        Self {
            group: &group.name,
            consumers: group.consumers,
            undelivered: group.undelivered.count,
            undelivered_exact: group.undelivered.exact,
            pending: group.pending,
            retrying: group.retrying,
            done: group.done,
            dead: group.dead,
            vanished: group.vanished,
            recreated: group.recreated,
            oldest_undelivered_age_ms: group.oldest_undelivered_age.map(millis),
            oldest_pending_age_ms: group.oldest_pending_age.map(millis),
        }
    }
}
