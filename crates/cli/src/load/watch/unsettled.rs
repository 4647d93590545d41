//! Events that were seen and are not settled, in the order of their messages.

use std::collections::VecDeque;
use std::time::Instant;

use bus::MessageId;

/// The most of them. While there are so many, nothing more is read: what nobody has settled stays
/// where it is.
const UNSETTLED_MAX: usize = 500_000;

/// A queue.
#[derive(Debug, Default)]
pub(super) struct Unsettled {
    events: VecDeque<(MessageId, Event)>,
}

/// The number of an event, and when it was due, if that is to be measured.
type Event = (u64, Option<Instant>);

impl Unsettled {
    /// Adds one, whose message comes after all before.
    pub(super) fn push(&mut self, id: MessageId, number: u64, due: Option<Instant>) {
        self.events.push_back((id, (number, due)));
    }

    /// Takes the first one out whose message is not beyond `up_to`.
    pub(super) fn pop(&mut self, up_to: MessageId) -> Option<Event> {
        let (_, event) = self.events.pop_front_if(|(id, _)| *id <= up_to)?;
        Some(event)
    }

    pub(super) fn is_full(&self) -> bool {
        self.events.len() >= UNSETTLED_MAX
    }

    pub(super) fn is_empty(&self) -> bool {
        self.events.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_settled_with_their_messages_and_in_order() {
        let id = |major| MessageId { major, minor: 0 };
        let mut unsettled = Unsettled::default();
        for number in 1..=3 {
            unsettled.push(id(number * 10), number, None);
        }
        assert_eq!(unsettled.pop(id(9)), None);
        assert_eq!(unsettled.pop(id(20)), Some((1, None)));
        assert_eq!(unsettled.pop(id(20)), Some((2, None)));
        assert_eq!(unsettled.pop(id(20)), None);
        assert!(!unsettled.is_empty());
        assert_eq!(unsettled.pop(id(30)), Some((3, None)));
        assert!(unsettled.is_empty());
    }
}
