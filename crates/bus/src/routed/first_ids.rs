//! Under which ids the messages in hand were first published.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::message_id::MessageId;

/// The first ids of messages in hand that have another id now. Clones are the same.
#[derive(Debug, Clone, Default)]
pub(crate) struct FirstIds(Arc<Mutex<HashMap<MessageId, MessageId>>>);

impl FirstIds {
    /// Learns the first id of a message that is delivered.
    pub(crate) fn learn(&self, id: MessageId, first_id: MessageId) {
        if id != first_id {
            self.with(|known| known.insert(id, first_id));
        }
    }

    /// The first id of a message in hand.
    pub(super) fn of(&self, id: MessageId) -> MessageId {
        self.with(|known| known.get(&id).copied()).unwrap_or(id)
    }

    /// Forgets messages that are no longer in hand.
    pub(super) fn forget(&self, ids: impl Iterator<Item = MessageId>) {
        self.with(|known| {
            if !known.is_empty() {
                for id in ids {
                    known.remove(&id);
                }
            }
        });
    }

    fn with<R>(&self, action: impl FnOnce(&mut HashMap<MessageId, MessageId>) -> R) -> R {
        action(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
