//! The messages about an event in the order of time, each with what caused it.

use bus::{DeadLetter, MessageId, StoredMessage};
use common::topics::TopicInfo;
use common::{EventId, RawFields, UnixMillis};
use serde::Serialize;

use super::cause::cause_of;
use super::search::{Extent, Search};
use super::state::GroupState;

/// An event's life.
#[derive(Debug, Serialize)]
pub(super) struct Timeline {
    pub(super) event_id: String,
    pub(super) found: bool,
    pub(super) brand_id: Option<String>,
    pub(super) event_type: Option<String>,
    pub(super) stages: Vec<Stage>,
    pub(super) searched: Vec<Extent>,
    /// Why nothing is said of the effects in SQL.
    pub(super) sql_error: Option<String>,
}

/// One message about it.
#[derive(Debug, Serialize)]
pub(super) struct Stage {
    pub(super) topic: &'static str,
    pub(super) id: String,
    /// When it was published.
    pub(super) at: String,
    /// The same from the first message on.
    pub(super) after_ms: u64,
    /// The message itself is gone; a dead letter tells of it.
    pub(super) gone: bool,
    /// What caused it.
    pub(super) cause: Option<Cause>,
    /// Under which id it was first published, if it is a dead letter that was sent again.
    pub(super) redriven_from: Option<String>,
    /// A later message of the same topic about the event, such as a dead letter sent again.
    pub(super) again_as: Option<String>,
    /// Why, if it tells of a rejection.
    pub(super) reason: Option<String>,
    pub(super) groups: Vec<GroupState>,
}

/// The message before, and how long after it this one was published.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Cause {
    pub(super) topic: &'static str,
    pub(super) id: String,
    pub(super) after_ms: u64,
}

/// A message as it was found.
#[derive(Debug, Clone, Copy)]
pub(super) struct Found<'a> {
    pub(super) topic: TopicInfo,
    pub(super) id: MessageId,
    /// Where it was when it was first published: elsewhere, if it was redriven since.
    pub(super) first_id: MessageId,
    /// The next message that was first published there, too: this one was given up and redriven.
    pub(super) redriven_as: Option<MessageId>,
    /// Whether the message is still in its topic.
    pub(super) is_there: bool,
    fields: &'a RawFields,
    /// The letters of this message. One of an unknown message is here with its own.
    pub(super) letters: &'a [DeadLetter],
}

/// All that was found, in the order of time.
pub(super) fn found(searches: &[Search]) -> impl Iterator<Item = Found<'_>> {
    let mut all: Vec<Found<'_>> = Vec::new();
    for search in searches {
        all.extend(search.messages.iter().map(|message| {
            let first_id = first_id_of(message);
            Found {
                topic: search.topic,
                id: message.id,
                first_id,
                redriven_as: redriven_as(search, first_id, message.id),
                is_there: true,
                fields: &message.fields,
                letters: letters_of(search, message.id),
            }
        }));
        let gone = search
            .letters
            .chunk_by(|one, next| one.source_id == next.source_id);
        let gone = gone.filter_map(|letters| {
            let letter = letters.first()?;
            let id = letter.source_id.unwrap_or(letter.id);
            let first_id = letter.first_id.unwrap_or(id);
            let is_there = search.messages.iter().any(|message| message.id == id);
            (!is_there).then_some(Found {
                topic: search.topic,
                id,
                first_id,
                redriven_as: redriven_as(search, first_id, id),
                is_there: false,
                fields: &letter.fields,
                letters,
            })
        });
        all.extend(gone);
    }
    // The order of the flow decides within a millisecond: the sort keeps it.
    all.sort_by_key(|found| found.id.major);
    all.into_iter()
}

fn first_id_of(message: &StoredMessage) -> MessageId {
    message.redriven_from().unwrap_or(message.id)
}

/// The next message after an id that was first published under the same id.
fn redriven_as(search: &Search, first_id: MessageId, id: MessageId) -> Option<MessageId> {
    let mut later = search.messages.iter();
    let next = later.find(|next| next.id > id && first_id_of(next) == first_id)?;
    Some(next.id)
}

/// The letters of a message; those of one message are neighbours.
fn letters_of(search: &Search, id: MessageId) -> &[DeadLetter] {
    let mut chunks = search
        .letters
        .chunk_by(|one, next| one.source_id == next.source_id);
    let of_it = chunks.find(|letters| {
        let source = letters.first().and_then(|letter| letter.source_id);
        source == Some(id)
    });
    of_it.unwrap_or_default()
}

impl Timeline {
    /// Everything but the states of the groups.
    pub(super) fn of(event_id: EventId, searches: &[Search]) -> Self {
        let mut stages = Vec::new();
        let (mut brand_id, mut event_type, mut first) = (None, None, None);
        for found in found(searches) {
            let start = *first.get_or_insert(found.id.major);
            brand_id = brand_id.or_else(|| text(found.fields, "brand_id"));
            event_type = event_type.or_else(|| text(found.fields, "event_type"));
            stages.push(stage(found, start, searches));
        }
        Self {
            event_id: event_id.to_string(),
            found: !stages.is_empty(),
            brand_id,
            event_type,
            stages,
            searched: searches.iter().flat_map(|it| it.extent.clone()).collect(),
            sql_error: None,
        }
    }
}

fn stage(found: Found<'_>, start: u64, searches: &[Search]) -> Stage {
    let cause = cause_of(&found.topic, found.id, found.fields, searches);
    let search = searches.iter().find(|it| it.topic.name == found.topic.name);
    let later = search.and_then(|search| {
        let mut messages = search.messages.iter();
        messages.find(|message| message.id > found.id)
    });
    Stage {
        topic: found.topic.name,
        id: found.id.to_string(),
        at: UnixMillis(i64::try_from(found.id.major).unwrap_or(i64::MAX)).to_string(),
        after_ms: found.id.major.saturating_sub(start),
        gone: !found.is_there,
        cause: cause.map(|(topic, id)| Cause {
            topic,
            id: id.to_string(),
            after_ms: found.id.major.saturating_sub(id.major),
        }),
        redriven_from: (found.first_id != found.id).then(|| found.first_id.to_string()),
        again_as: later.map(|message| message.id.to_string()),
        reason: text(found.fields, "reason"),
        groups: Vec::new(),
    }
}

/// A field that is a text.
fn text(fields: &RawFields, name: &str) -> Option<String> {
    let mut named = fields
        .0
        .iter()
        .filter(|(known, _)| known == name.as_bytes());
    Some(String::from_utf8_lossy(&named.next()?.1).into_owned())
}
