//! A message that a test can tell from the next one, and topics that carry it.

use common::fields::TextField;
use common::topics::TopicInfo;
use common::{DecodeError, FieldSink, FieldValue as _, Message, RawFields, Topic};

pub(crate) const READERS: &str = "readers";

/// A numbered message with fields that its type does not know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Note {
    pub(crate) number: u32,
    pub(crate) extra: Vec<TextField>,
}

impl Message for Note {
    fn encode(&self, sink: &mut dyn FieldSink) {
        sink.field("number", &self.number.to_field());
        for (name, value) in &self.extra {
            sink.field(name, value);
        }
    }

    fn decode(mut fields: RawFields) -> Result<Self, DecodeError> {
        let text = fields.take("number")?;
        let text = text.ok_or(DecodeError::Missing("number"))?;
        let number = u32::from_field(text).map_err(|detail| DecodeError::Invalid {
            field: "number",
            detail,
        })?;
        Ok(Self {
            number,
            extra: fields.into_texts()?,
        })
    }
}

/// Notes of these numbers, each with a field that nobody knows.
pub(crate) fn notes(numbers: impl IntoIterator<Item = u32>) -> Vec<Note> {
    let note = |number| Note {
        number,
        extra: vec![("colour".to_owned(), format!("shade {number} é"))],
    };
    numbers.into_iter().map(note).collect()
}

/// A topic with one group that keeps more than any test publishes.
#[derive(Debug)]
pub(crate) struct Notes;

impl Topic for Notes {
    type Message = Note;
    const INFO: TopicInfo = TopicInfo {
        name: "test.notes",
        groups: &[READERS],
        retained: 10_000,
        key: "number",
        home: common::topics::Home::Bus,
    };
}

/// A topic with one group that keeps five finished messages.
#[derive(Debug)]
pub(crate) struct ShortNotes;

impl Topic for ShortNotes {
    type Message = Note;
    const INFO: TopicInfo = TopicInfo {
        name: "test.short",
        groups: &[READERS],
        retained: 5,
        key: "number",
        home: common::topics::Home::Bus,
    };
}
