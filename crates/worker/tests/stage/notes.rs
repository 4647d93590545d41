//! Messages that a test can tell apart, and topics that carry them.

use common::topics::TopicInfo;
use common::{DecodeError, FieldSink, FieldValue as _, Message, RawFields, Topic};

pub(crate) const READERS: &str = "readers";

/// A numbered message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Note(pub(crate) u32);

impl Message for Note {
    fn encode(&self, sink: &mut dyn FieldSink) {
        sink.field("number", &self.0.to_field());
    }

    fn decode(mut fields: RawFields) -> Result<Self, DecodeError> {
        let text = fields.take("number")?;
        let text = text.ok_or(DecodeError::Missing("number"))?;
        let number = u32::from_field(text).map_err(|detail| DecodeError::Invalid {
            field: "number",
            detail,
        })?;
        Ok(Self(number))
    }
}

pub(crate) fn notes(numbers: impl IntoIterator<Item = u32>) -> Vec<Note> {
    numbers.into_iter().map(Note).collect()
}

/// What the stages under test read.
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

/// What they publish.
#[derive(Debug)]
pub(crate) struct Answers;

impl Topic for Answers {
    type Message = Note;
    const INFO: TopicInfo = TopicInfo {
        name: "test.answers",
        groups: &[],
        retained: 10_000,
        key: "number",
        home: common::topics::Home::Bus,
    };
}

/// A message that is no note.
#[derive(Debug)]
pub(crate) struct Scribble(pub(crate) &'static str);

impl Message for Scribble {
    fn encode(&self, sink: &mut dyn FieldSink) {
        sink.field("number", self.0);
    }

    fn decode(_: RawFields) -> Result<Self, DecodeError> {
        Err(DecodeError::Missing("anything to read"))
    }
}

/// The topic of the notes, for those who do not keep to its type.
#[derive(Debug)]
pub(crate) struct ScribbledNotes;

impl Topic for ScribbledNotes {
    type Message = Scribble;
    const INFO: TopicInfo = Notes::INFO;
}
