//! A message of a stream: as it lies there, and as a consumer is given it.

use common::RawFields;

use crate::first_id;
use crate::message_id::MessageId;

/// A message as delivered to a consumer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    /// Its place in the topic.
    pub id: MessageId,
    /// The id under which it was first published: another one if it was redriven since. Effects
    /// that must happen once go by it.
    pub first_id: MessageId,
    /// Its fields, undecoded.
    pub fields: RawFields,
    /// How often it was delivered, this time included.
    pub deliveries: u32,
    /// Whether somebody may have processed it before: then its effects may be there already.
    pub repeat: bool,
}

impl Delivery {
    /// A message of a stream that is delivered. One that was redriven is always a repeat.
    pub(crate) fn of(message: StoredMessage, deliveries: u32, repeat: bool) -> Self {
        let StoredMessage { id, mut fields } = message;
        let redriven_from = first_id::take(&mut fields, id);
        Self {
            id,
            first_id: redriven_from.unwrap_or(id),
            fields,
            deliveries,
            repeat: repeat || redriven_from.is_some(),
        }
    }
}

/// A message as it lies in a stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredMessage {
    /// Its place in the topic.
    pub id: MessageId,
    /// Its fields, undecoded.
    pub fields: RawFields,
}

impl StoredMessage {
    /// The id under which it was first published, if it was redriven since.
    pub fn redriven_from(&self) -> Option<MessageId> {
        first_id::of(&self.fields, self.id)
    }
}
