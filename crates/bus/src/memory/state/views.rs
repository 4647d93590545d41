//! Looking at streams in memory.

use std::time::Duration;

use common::topics::TopicInfo;
use common::{RawFields, UnixMillis};

use super::{Group, State, Stream};
use crate::delivery::StoredMessage;
use crate::message_id::MessageId;
use crate::overview::{Count, GroupOverview, TopicOverview};
use crate::server::Membership;
use crate::streams::{Pending, PendingQuery, RETRYING};

impl Group {
    /// The highest id below which all is settled.
    pub(super) fn floor(&self) -> MessageId {
        self.pending
            .keys()
            .next()
            .map_or(self.delivered, |first| first.previous())
    }
}

impl State {
    pub(crate) fn pending(
        &mut self,
        member: &Membership,
        query: &PendingQuery,
        now: UnixMillis,
    ) -> Vec<Pending> {
        let group = self.group(member.topic, member.group);
        let wanted = |pending: &Pending| {
            pending.idle >= query.idle_min
                && query
                    .consumer
                    .as_ref()
                    .is_none_or(|name| *name == pending.consumer)
        };
        let all = group
            .pending
            .range(query.after.next()..)
            .map(|(id, held)| Pending {
                id: *id,
                consumer: held.consumer.clone(),
                idle: elapsed(held.since, now),
                deliveries: held.deliveries,
            });
        all.filter(wanted).take(query.count).collect()
    }

    pub(crate) fn trim(&mut self, topic: &TopicInfo) -> u64 {
        let Some(stream) = self.streams.get_mut(topic.name) else {
            return 0;
        };
        if topic
            .groups
            .iter()
            .any(|group| !stream.groups.contains_key(*group))
        {
            return 0;
        }
        let floor = stream
            .groups
            .values()
            .map(Group::floor)
            .min()
            .unwrap_or(stream.last);
        let retained = usize::try_from(topic.retained).unwrap_or(usize::MAX);
        let excess = stream.entries.len().saturating_sub(retained);
        let finished: Vec<MessageId> = stream
            .entries
            .range(..=floor)
            .take(excess)
            .map(|(id, _)| *id)
            .collect();
        for id in &finished {
            stream.entries.remove(id);
        }
        u64::try_from(finished.len()).unwrap_or(0)
    }

    pub(crate) fn range(&self, name: &str, from: MessageId, count: usize) -> Vec<StoredMessage> {
        let Some(stream) = self.streams.get(name) else {
            return Vec::new();
        };
        let messages = stream.entries.range(from..).take(count);
        messages.map(stored).collect()
    }

    pub(crate) fn overview(&self, topic: &TopicInfo, now: UnixMillis) -> TopicOverview {
        let length = |name: &str| {
            self.streams
                .get(name)
                .map_or(0, |stream| stream.entries.len())
        };
        let letters = self.letters.get(topic.name).copied().unwrap_or_default();
        let stream = self.streams.get(topic.name);
        let groups = stream.into_iter().flat_map(|stream| {
            stream
                .groups
                .iter()
                .map(move |(name, group)| overview_of(stream, name, group, now))
        });
        TopicOverview {
            name: topic.name.to_owned(),
            length: wide(length(topic.name)),
            published: stream.map_or(0, |stream| stream.added),
            dead_letters: wide(length(&topic.dead_letters())),
            redriven: letters.redriven,
            discarded: letters.discarded,
            expired: letters.expired,
            split: 0,
            late: letters.late,
            groups: groups.collect(),
        }
    }
}

fn overview_of(stream: &Stream, name: &str, group: &Group, now: UnixMillis) -> GroupOverview {
    let mut undelivered = stream.entries.range(group.delivered.next()..);
    let first = undelivered.clone().next().map(|(id, _)| age(*id, now));
    let retrying = group
        .pending
        .values()
        .filter(|held| held.consumer == RETRYING)
        .count();
    GroupOverview {
        name: name.to_owned(),
        consumers: wide(group.consumers.len()),
        pending: wide(group.pending.len()),
        retrying: wide(retrying),
        undelivered: Count {
            count: wide(undelivered.by_ref().count()),
            exact: true,
        },
        done: group.done,
        dead: group.dead,
        vanished: group.vanished,
        counted: true,
        recreated: 0,
        floor: group.floor(),
        delivered_up_to: group.delivered,
        oldest_undelivered_age: first,
        oldest_pending_age: group.pending.keys().next().map(|id| age(*id, now)),
    }
}

pub(super) fn stored((id, fields): (&MessageId, &RawFields)) -> StoredMessage {
    StoredMessage {
        id: *id,
        fields: fields.clone(),
    }
}

fn age(id: MessageId, now: UnixMillis) -> Duration {
    elapsed(UnixMillis(i64::try_from(id.major).unwrap_or(i64::MAX)), now)
}

pub(super) fn elapsed(since: UnixMillis, now: UnixMillis) -> Duration {
    Duration::from_millis(u64::try_from(now.0 - since.0).unwrap_or(0))
}

fn wide(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}
