//! Dead letters: messages that were given up, and what can be done with them.

use std::time::Duration;

use common::RawFields;
use common::messages::DeadLetter as Provenance;

use crate::delivery::StoredMessage;
use crate::first_id;
use crate::message_id::MessageId;

/// How long dead letters are kept.
pub(crate) const RETENTION: Duration = Duration::from_hours(30 * 24);

/// A message that was given up. What a letter does not say, because somebody else wrote it, is
/// empty here.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DeadLetter {
    /// Its place in the dead-letter stream.
    pub id: MessageId,
    /// Where the message was in its topic.
    pub source_id: Option<MessageId>,
    /// Where it was when it was first published: elsewhere, if it was redriven since.
    pub first_id: Option<MessageId>,
    /// The consumer group that gave it up.
    pub group: String,
    /// Why, as a stable code.
    pub reason: String,
    /// Why, for a person.
    pub error: String,
    /// How often it was delivered.
    pub attempts: u32,
    /// When its processing first failed, ISO 8601.
    pub first_failed_at: String,
    /// When it was given up, ISO 8601.
    pub failed_at: String,
    /// The consumer that gave it up.
    pub worker: String,
    /// Which part of a message it is that was too large for one letter, such as `1/3`.
    pub part: Option<String>,
    /// The message as it was.
    pub fields: RawFields,
}

/// What became of a letter that was to be published again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Redriven {
    /// It is in its topic again, under this id, and no letter any more.
    As(MessageId),
    /// There is no such letter, perhaps because it was redriven or discarded before.
    Unknown,
    /// It cannot be published, and is still there; why, for a person.
    Refused(String),
}

impl Redriven {
    /// A letter that holds a part of a message only.
    pub(crate) fn part() -> Self {
        let why = "the letter holds only a part of a message that was too large for one letter";
        Self::Refused(why.to_owned())
    }

    /// A letter without a message.
    pub(crate) fn empty() -> Self {
        Self::Refused("the letter has no fields of its own".to_owned())
    }

    /// A letter that the server cannot publish in one step.
    pub(crate) fn too_large() -> Self {
        Self::Refused("the letter has too many fields to be published in one step".to_owned())
    }
}

/// Reads a letter, whoever wrote it.
impl From<StoredMessage> for DeadLetter {
    fn from(letter: StoredMessage) -> Self {
        let StoredMessage { id, fields } = letter;
        let text = |name: &str| {
            let named = |(known, _): &&(Vec<u8>, Vec<u8>)| known == name.as_bytes();
            // The bus adds its fields at the end: a message may have some of the same names.
            let value = fields.0.iter().rev().find(named);
            value.map(|(_, value)| String::from_utf8_lossy(value).into_owned())
        };
        let [
            reason,
            error,
            _,
            source_id,
            group,
            attempts,
            first_failed_at,
            failed_at,
            worker,
        ] = ADDED.map(|name| text(name).unwrap_or_default());
        let source_id = first_id::read(source_id.as_bytes());
        let mut message = message_of(&fields);
        let redriven_from = source_id.and_then(|id| first_id::take(&mut message, id));
        Self {
            id,
            source_id,
            first_id: redriven_from.or(source_id),
            group,
            reason,
            error,
            attempts: attempts.parse().unwrap_or_default(),
            first_failed_at,
            failed_at,
            worker,
            part: if is_whole(&fields) { None } else { text(PART) },
            fields: message,
        }
    }
}

/// What the bus adds at the end of a message, in this order.
const ADDED: [&str; 9] = match Provenance::FIELDS {
    [a, b, c, d, e, f, g, h, i, _] => [a, b, c, d, e, f, g, h, i],
    _ => [""; 9],
};
/// What it adds after those to a part of a message.
const PART: &str = match Provenance::FIELDS {
    [.., part] => part,
    [] => "",
};

/// Whether the bus wrote this letter, of a whole message.
fn is_whole(fields: &RawFields) -> bool {
    ends_with(fields, &ADDED).is_some()
}

/// How many fields come before those of these names, if they are at the end.
fn ends_with(fields: &RawFields, names: &[&str]) -> Option<usize> {
    let own = fields.0.len().checked_sub(names.len())?;
    let (_, added) = fields.0.split_at_checked(own)?;
    let found = added.iter().map(|(name, _)| name.as_slice());
    let wanted = names.iter().map(|name| name.as_bytes());
    found.eq(wanted).then_some(own)
}

/// The fields of the message, byte for byte: all before what was added at the end. A letter that
/// somebody else wrote may have the additions anywhere: there, the names tell.
fn message_of(fields: &RawFields) -> RawFields {
    let all = fields.0.iter();
    let own = ends_with(fields, &ADDED).or_else(|| ends_with(fields, Provenance::FIELDS));
    let message = if let Some(own) = own {
        all.take(own).cloned().collect()
    } else {
        let added = |name: &[u8]| Provenance::FIELDS.iter().any(|k| k.as_bytes() == name);
        all.filter(|(name, _)| !added(name)).cloned().collect()
    };
    RawFields(message)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn letter(pairs: &[(&str, &str)]) -> DeadLetter {
        let pairs = pairs
            .iter()
            .map(|(name, value)| ((*name).into(), (*value).into()));
        DeadLetter::from(StoredMessage {
            id: MessageId { major: 7, minor: 0 },
            fields: RawFields(pairs.collect()),
        })
    }

    const OURS: [(&str, &str); 9] = [
        ("dlq_reason", "hopeless"),
        ("dlq_error", "at length"),
        ("dlq_stream", "notes"),
        ("dlq_id", "5-1"),
        ("dlq_group", "readers"),
        ("dlq_attempts", "3"),
        ("dlq_first_failed_at", "2026-11-20T12:00:00.000Z"),
        ("dlq_failed_at", "2026-11-20T12:00:01.000Z"),
        ("dlq_worker", "host-1"),
    ];

    #[test]
    fn what_the_bus_added_is_told_from_fields_of_the_message_with_the_same_names() {
        let mut pairs = vec![("dlq_part", "mine"), ("a", "1"), ("dlq_reason", "mine")];
        let own = pairs.len();
        pairs.extend(OURS);
        let read = letter(&pairs);
        assert_eq!((read.reason.as_str(), read.attempts), ("hopeless", 3));
        assert_eq!(read.source_id, Some(MessageId { major: 5, minor: 1 }));
        assert_eq!(read.part, None);
        let names: Vec<&[u8]> = read.fields.0.iter().map(|(name, _)| &name[..]).collect();
        assert_eq!(names, [&b"dlq_part"[..], b"a", b"dlq_reason"]);
        assert_eq!(read.fields.0.len(), own);
    }

    #[test]
    fn a_message_that_was_redriven_before_keeps_its_first_id() {
        let first = |last: (&str, &str)| {
            let read = letter(&[&[("a", "1"), last][..], &OURS].concat());
            (read.first_id.map(|id| id.to_string()), read.fields.0.len())
        };
        let known = |id: &str| Some(id.to_owned());
        assert_eq!(first(("b", "2")), (known("5-1"), 2));
        assert_eq!(first(("redriven_from", "4-7")), (known("4-7"), 1));
        // It was not first published when it was given up, or later.
        assert_eq!(first(("redriven_from", "5-1")), (known("5-1"), 2));
    }

    #[test]
    fn a_part_says_which_it_is() {
        let mut pairs = vec![("a", "1")];
        pairs.extend(OURS);
        pairs.push(("dlq_part", "2/3"));
        let read = letter(&pairs);
        assert_eq!(read.part.as_deref(), Some("2/3"));
        assert_eq!(read.fields.0.len(), 1);
        assert_eq!(read.worker, "host-1");
    }

    #[test]
    fn a_letter_that_somebody_else_wrote_is_read_as_far_as_it_goes() {
        let read = letter(&[
            ("dlq_reason", "theirs"),
            ("a", "1"),
            ("dlq_attempts", "many"),
        ]);
        assert_eq!((read.reason.as_str(), read.attempts), ("theirs", 0));
        assert_eq!((read.source_id, read.failed_at.as_str()), (None, ""));
        assert_eq!(read.first_id, None);
        assert_eq!(read.fields.0, [(b"a".to_vec(), b"1".to_vec())]);
    }
}
