//! Reading a topic from any id, forwards and backwards. Everything here blocks.

use std::collections::HashMap;

use rdkafka::Message as _;
use rdkafka::message::BorrowedMessage;

use super::client::Core;
use super::looker::{LOOKER, Span, Visit};
use super::place::Place;
use super::record;
use crate::delivery::StoredMessage;
use crate::error::BusError;
use crate::message_id::MessageId;

/// The id of a record.
pub(super) fn id_of(record: &BorrowedMessage<'_>) -> MessageId {
    let place = Place {
        partition: record.partition(),
        offset: record.offset(),
    };
    place.id(record.timestamp().to_millis().unwrap_or_default())
}

pub(super) fn stored(record: &BorrowedMessage<'_>) -> StoredMessage {
    StoredMessage {
        id: id_of(record),
        fields: record::decode(record.payload(), record.headers()),
    }
}

/// Messages in the order of their ids, from an id on.
pub(super) fn forwards(
    core: &Core,
    topic: &str,
    from: MessageId,
    count: usize,
) -> Result<Vec<StoredMessage>, BusError> {
    let Some(partitions) = core.partitions(topic)? else {
        return Ok(Vec::new());
    };
    let (looker, name) = (core.looker(LOOKER)?, core.settings.topic_name(topic));
    let mut spans = looker.spans(&name, partitions)?;
    if from.major > 0 {
        spans = looker.offsets_from(&name, &spans, from.major)?;
    }
    let mut taken: HashMap<i32, usize> = HashMap::new();
    let mut messages = Vec::new();
    looker.scan(&name, &spans, |record| {
        if id_of(record) < from {
            return Visit::On;
        }
        messages.push(stored(record));
        let taken = taken.entry(record.partition()).or_default();
        *taken += 1;
        if *taken < count {
            Visit::On
        } else {
            Visit::Enough
        }
    })?;
    messages.sort_by_key(|message| message.id);
    messages.truncate(count);
    Ok(messages)
}

/// Messages, the newest first, from an id down. As many as are wanted are read from the end of each
/// partition; more, as long as that gives too few.
pub(super) fn backwards(
    core: &Core,
    topic: &str,
    from: MessageId,
    count: usize,
) -> Result<Vec<StoredMessage>, BusError> {
    let Some(partitions) = core.partitions(topic)? else {
        return Ok(Vec::new());
    };
    let (looker, name) = (core.looker(LOOKER)?, core.settings.topic_name(topic));
    let mut spans = looker.spans(&name, partitions)?;
    if from.major < MessageId::MAX.major {
        let later = looker.offsets_from(&name, &spans, from.major.saturating_add(1))?;
        for (span, later) in spans.iter_mut().zip(later) {
            span.to = later.from;
        }
    }
    let mut messages: Vec<StoredMessage> = Vec::new();
    let mut reach = i64::try_from(count).unwrap_or(i64::MAX);
    while spans.iter().any(|span| span.from < span.to) {
        let last: Vec<Span> = spans
            .iter()
            .map(|span| Span {
                from: span.from.max(span.to.saturating_sub(reach)),
                ..*span
            })
            .collect();
        looker.scan(&name, &last, |record| {
            if id_of(record) <= from {
                messages.push(stored(record));
            }
            Visit::On
        })?;
        for (span, last) in spans.iter_mut().zip(last) {
            let found = messages.iter().filter(|message| {
                Place::of(message.id).is_some_and(|place| place.partition == span.partition)
            });
            span.to = if found.count() < count {
                last.from
            } else {
                span.from
            };
        }
        reach = reach.saturating_mul(2);
    }
    messages.sort_by_key(|message| std::cmp::Reverse(message.id));
    messages.truncate(count);
    Ok(messages)
}
