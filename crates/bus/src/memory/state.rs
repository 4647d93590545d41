//! Streams, groups and claims as plain values.

mod letters;
mod settling;
mod views;

use std::collections::{BTreeMap, HashMap};

use common::topics::DEAD_LETTER_SUFFIX;
use common::{RawFields, UnixMillis};

use crate::delivery::StoredMessage;
use crate::message_id::MessageId;
use crate::moves::Received;
use crate::once::{Once, OnceRule};
use crate::server::Membership;
use crate::streams::{Claim, Claimed};

#[derive(Debug, Default)]
pub(super) struct State {
    streams: HashMap<String, Stream>,
    claims: HashMap<String, (&'static str, UnixMillis)>,
    letters: HashMap<String, Letters>,
    received: HashMap<String, Received>,
}

/// How many dead letters of a topic left their stream, and how.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Letters {
    redriven: u64,
    discarded: u64,
    expired: u64,
    late: u64,
}

#[derive(Debug, Default)]
struct Stream {
    entries: BTreeMap<MessageId, RawFields>,
    last: MessageId,
    added: u64,
    groups: HashMap<String, Group>,
}

#[derive(Debug, Default)]
pub(super) struct Group {
    delivered: MessageId,
    pending: BTreeMap<MessageId, Held>,
    consumers: HashMap<String, UnixMillis>,
    failures: HashMap<MessageId, (UnixMillis, String)>,
    done: u64,
    dead: u64,
    vanished: u64,
}

#[derive(Debug)]
struct Held {
    consumer: String,
    since: UnixMillis,
    deliveries: u32,
}

impl State {
    pub(super) fn append(&mut self, topic: &str, fields: RawFields, now: UnixMillis) -> MessageId {
        let stream = self.streams.entry(topic.to_owned()).or_default();
        let at = MessageId {
            major: u64::try_from(now.0).unwrap_or(0),
            minor: 0,
        };
        let id = at.max(stream.last.next());
        stream.entries.insert(id, fields);
        stream.last = id;
        stream.added += 1;
        id
    }

    pub(super) fn received(&self, stream: &str) -> Received {
        self.received.get(stream).copied().unwrap_or_default()
    }

    /// Gives whether it was done: only if nobody else has done it since.
    pub(super) fn receive(
        &mut self,
        stream: &str,
        messages: &[StoredMessage],
        (before, after): (Received, Received),
        now: UnixMillis,
    ) -> bool {
        if self.received(stream) != before {
            return false;
        }
        for message in messages {
            self.append(stream, message.fields.clone(), now);
        }
        if let Some(topic) = stream.strip_suffix(DEAD_LETTER_SUFFIX) {
            self.letters(topic).late += after.count - before.count;
        }
        self.received.insert(stream.to_owned(), after);
        true
    }

    pub(super) fn group(&mut self, topic: &str, group: &str) -> &mut Group {
        let stream = self.streams.entry(topic.to_owned()).or_default();
        stream.groups.entry(group.to_owned()).or_default()
    }

    pub(super) fn open_group(&mut self, topic: &str, group: &str) {
        self.group(topic, group);
    }

    /// Whether the claim succeeds.
    pub(super) fn claim_once(&mut self, once: &Once, now: UnixMillis) -> bool {
        let claimed = self.claims.get(&once.key).filter(|(_, until)| *until > now);
        let granted = match once.rule {
            OnceRule::Unclaimed => claimed.is_none(),
            OnceRule::OtherClaimant => claimed.is_none_or(|(by, _)| *by != once.claimant),
        };
        if granted || once.rule == OnceRule::OtherClaimant {
            let window_ms = i64::try_from(once.window.as_millis()).unwrap_or(i64::MAX);
            let until = UnixMillis(now.0.saturating_add(window_ms));
            self.claims.insert(once.key.clone(), (once.claimant, until));
        }
        granted
    }

    pub(super) fn read_new(
        &mut self,
        member: &Membership,
        count: usize,
        now: UnixMillis,
    ) -> Vec<StoredMessage> {
        let Some(stream) = self.streams.get_mut(member.topic) else {
            return Vec::new();
        };
        let group = stream.groups.entry(member.group.to_owned()).or_default();
        group.consumers.insert(member.consumer.clone(), now);
        let fresh = stream.entries.range(group.delivered.next()..).take(count);
        let messages: Vec<StoredMessage> = fresh
            .map(|(id, fields)| StoredMessage {
                id: *id,
                fields: fields.clone(),
            })
            .collect();
        for message in &messages {
            let held = Held {
                consumer: member.consumer.clone(),
                since: now,
                deliveries: 1,
            };
            group.pending.insert(message.id, held);
            group.delivered = message.id;
        }
        messages
    }

    pub(super) fn claim(
        &mut self,
        member: &Membership,
        claims: &[Claim],
        now: UnixMillis,
    ) -> Claimed {
        let mut claimed = Claimed::default();
        let Some(stream) = self.streams.get_mut(member.topic) else {
            return claimed;
        };
        let group = stream.groups.entry(member.group.to_owned()).or_default();
        group.consumers.insert(member.consumer.clone(), now);
        for claim in claims {
            let Some(held) = group.pending.get_mut(&claim.id) else {
                continue;
            };
            let Some(fields) = stream.entries.get(&claim.id) else {
                group.pending.remove(&claim.id);
                group.vanished += 1;
                claimed.vanished.push(claim.id);
                continue;
            };
            if held.since <= now.minus(claim.idle_min) {
                *held = Held {
                    consumer: member.consumer.clone(),
                    since: now,
                    deliveries: claim.deliveries,
                };
                let fields = fields.clone();
                claimed.messages.push(StoredMessage {
                    id: claim.id,
                    fields,
                });
            }
        }
        claimed
    }

    /// Sets since when a message that is this member's is held; gives whether it is.
    pub(super) fn touch(
        &mut self,
        member: &Membership,
        id: MessageId,
        since: UnixMillis,
        deliveries: Option<u32>,
    ) -> bool {
        let group = self.group(member.topic, member.group);
        match group.pending.get_mut(&id) {
            Some(held) if held.consumer == member.consumer => {
                held.since = since;
                held.deliveries = deliveries.unwrap_or(held.deliveries);
                true
            }
            Some(_) | None => false,
        }
    }

    pub(super) fn remove_idle_consumers(&mut self, member: &Membership, since: UnixMillis) -> u64 {
        let group = self.group(member.topic, member.group);
        let before = group.consumers.len();
        let Group {
            consumers, pending, ..
        } = group;
        consumers.retain(|name, seen| {
            *seen > since || pending.values().any(|held| held.consumer == *name)
        });
        u64::try_from(before - group.consumers.len()).unwrap_or(0)
    }
}
