//! What becomes of delivered messages.

use common::RawFields;

use crate::message_id::MessageId;
use crate::once::Once;

/// What becomes of one message that was not simply done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// The message.
    pub id: MessageId,
    /// Why, as a stable code.
    pub reason: String,
    /// Why, for a person.
    pub error: String,
}

/// A message that is published in the atomic step that settles the message which caused it: it is
/// published if and only if that one was still open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Output {
    /// The message that caused it; it must be among the done ones.
    pub cause: MessageId,
    /// The topic it goes to.
    pub topic: &'static str,
    /// Its fields.
    pub fields: RawFields,
    /// Publish only if this claim succeeds, besides.
    pub once: Option<Once>,
}

/// What becomes of a batch. Every delivered message is in exactly one of the lists.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Settlement {
    /// Finished.
    pub done: Vec<MessageId>,
    /// Failed; to be delivered again after its wait.
    pub retry: Vec<Verdict>,
    /// Given up, with its reason.
    pub dead: Vec<Verdict>,
    /// What the finished ones cause.
    pub outputs: Vec<Output>,
}

/// How many messages the server settled. A message that somebody else settled before is not
/// counted again.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Settled {
    /// Finished.
    pub done: u64,
    /// Waiting for another attempt.
    pub retried: u64,
    /// Moved to the dead letters.
    pub dead: u64,
    /// Published.
    pub published: u64,
}
