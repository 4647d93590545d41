//! The messages that this process holds: delivered, and not yet settled or handed back.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::delivery::Delivery;
use crate::message_id::MessageId;
use crate::metrics;
use crate::server::Membership;

/// The registry of one consumer. Clones are the same registry.
#[derive(Debug, Clone, Default)]
pub(crate) struct InHand {
    batches: Arc<Mutex<Batches>>,
}

#[derive(Debug, Default)]
struct Batches {
    next_number: u64,
    held: BTreeMap<u64, Held>,
}

#[derive(Debug)]
struct Held {
    /// Sorted.
    ids: Arc<[MessageId]>,
    renewed_at: Instant,
}

/// Keeps a batch registered until it is dropped.
#[derive(Debug)]
pub(crate) struct InHandGuard {
    number: u64,
    registry: InHand,
}

/// Messages to be processed together. They are kept from others until the batch is dropped.
#[derive(Debug)]
pub struct DeliveryBatch {
    /// The messages.
    pub messages: Vec<Delivery>,
    in_hand: InHandGuard,
}

impl DeliveryBatch {
    /// Registers messages as held by a member.
    pub(crate) fn of(messages: Vec<Delivery>, in_hand: &InHand, member: &Membership) -> Self {
        metrics::batch(member.topic, member.group, messages.len());
        let ids = messages.iter().map(|message| message.id).collect();
        Self {
            messages,
            in_hand: in_hand.hold(ids),
        }
    }

    /// Ends the renewal for messages that are settled before the others of the batch.
    pub fn release(&self, ids: &[MessageId]) {
        self.in_hand.release(ids);
    }
}

impl InHand {
    /// Registers a batch.
    pub(crate) fn hold(&self, mut ids: Vec<MessageId>) -> InHandGuard {
        ids.sort_unstable();
        let held = Held {
            ids: ids.into(),
            renewed_at: Instant::now(),
        };
        let number = self.with(|batches| {
            batches.next_number += 1;
            batches.held.insert(batches.next_number, held);
            batches.next_number
        });
        InHandGuard {
            number,
            registry: self.clone(),
        }
    }

    /// Whether a message is held.
    pub(crate) fn contains(&self, id: MessageId) -> bool {
        self.with(|batches| {
            batches
                .held
                .values()
                .any(|held| held.ids.binary_search(&id).is_ok())
        })
    }

    /// Whether nothing is held.
    pub(crate) fn is_empty(&self) -> bool {
        self.with(|batches| batches.held.is_empty())
    }

    /// The messages whose lease is older than `age`; their leases count as renewed now.
    pub(crate) fn take_due(&self, age: Duration) -> Vec<MessageId> {
        self.with(|batches| {
            let mut due = Vec::new();
            for held in batches
                .held
                .values_mut()
                .filter(|held| held.renewed_at.elapsed() >= age)
            {
                held.renewed_at = Instant::now();
                due.extend_from_slice(&held.ids);
            }
            due
        })
    }

    /// Forgets some messages of a batch.
    fn release(&self, number: u64, released: &[MessageId]) {
        self.with(|batches| {
            if let Some(held) = batches.held.get_mut(&number) {
                let kept = held.ids.iter().filter(|id| !released.contains(id));
                held.ids = kept.copied().collect();
            }
        });
    }

    fn with<R>(&self, action: impl FnOnce(&mut Batches) -> R) -> R {
        action(&mut self.batches.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl InHandGuard {
    /// Forgets some of the messages before the others.
    pub(crate) fn release(&self, ids: &[MessageId]) {
        self.registry.release(self.number, ids);
    }
}

impl Drop for InHandGuard {
    fn drop(&mut self) {
        self.registry
            .with(|batches| batches.held.remove(&self.number));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_is_in_hand_until_its_guard_is_dropped() {
        let in_hand = InHand::default();
        let id = MessageId { major: 2, minor: 0 };
        let guard = in_hand.hold(vec![id, MessageId { major: 1, minor: 0 }]);
        assert!(in_hand.contains(id) && !in_hand.contains(MessageId::ZERO));
        assert_eq!(in_hand.take_due(Duration::ZERO).len(), 2);
        assert!(in_hand.take_due(Duration::from_mins(1)).is_empty());
        guard.release(&[MessageId { major: 1, minor: 0 }]);
        assert_eq!(in_hand.take_due(Duration::ZERO), [id]);
        drop(guard);
        assert!(in_hand.is_empty() && !in_hand.contains(id));
    }
}
