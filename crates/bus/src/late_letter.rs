//! Dead letters of messages that were settled before they failed.

use common::messages::DeadLetter;
use common::{RawFields, UnixMillis};

use crate::dead_letter::RETENTION;
use crate::once::{Once, OnceRule};

/// A message whose work failed for good after the message was settled, because its work is finished
/// in a store: there, it was done. Its letter is like that of any other message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LateLetter {
    /// The message as it was.
    pub fields: RawFields,
    /// The consumer group that settled it.
    pub group: &'static str,
    /// Where it was in its topic, as a text; effects go by it when it is redriven.
    pub id: String,
    /// How often its work was tried.
    pub attempts: u32,
    /// Why it is given up, as a stable code.
    pub reason: String,
    /// Why, for a person.
    pub error: String,
    /// When its work first failed.
    pub first_failed_at: UnixMillis,
    /// Who gives it up.
    pub worker: String,
    /// What names this giving-up, so that repeats write no second letter: a key in `common::keys`.
    pub once: String,
}

impl LateLetter {
    /// The claim under which the letter is written. It is remembered as long as letters are kept.
    pub(crate) fn claim(&self) -> Once {
        Once {
            key: self.once.clone(),
            claimant: self.group,
            window: RETENTION,
            rule: OnceRule::Unclaimed,
        }
    }

    /// The letter's own fields beside those of the message, given up on a topic at a time.
    pub(crate) fn provenance(&self, topic: &str, failed_at: UnixMillis) -> DeadLetter {
        DeadLetter {
            reason: self.reason.clone(),
            error: self.error.clone(),
            stream: topic.to_owned(),
            id: self.id.clone(),
            group: self.group.to_owned(),
            attempts: self.attempts,
            first_failed_at: self.first_failed_at,
            failed_at,
            worker: self.worker.clone(),
            part: None,
            extra: Vec::new(),
        }
    }
}
