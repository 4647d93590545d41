//! What a consumer group knows of one partition. It lies in the group itself: the metadata of the
//! committed offset. So it changes in one step with the offset, in a transaction with what is
//! published, and is fenced as offsets are.

mod codec;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;

use crate::message_id::MessageId;

/// How far beyond the first open offset a partition is delivered: what is known of so many offsets
/// fits into the metadata, however it looks.
pub(super) const WINDOW: i64 = 4_096;

/// The state of one offset.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    /// Nothing is to be done about it any more.
    Settled,
    /// It was never delivered.
    Untouched,
    /// It was delivered so often, and is not settled. None: it was handed back.
    Delivered(u32),
}

/// How an offset is settled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    Done,
    Dead,
    /// It waits in the topic of retries.
    Moved,
    /// It is no message: the mark of a transaction, or what compaction left.
    Hole,
    /// The broker deleted it before it was settled.
    Vanished,
}

/// How many offsets were settled in which way, ever.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Counts {
    pub(super) done: u64,
    pub(super) dead: u64,
    pub(super) moved: u64,
    pub(super) holes: u64,
    pub(super) vanished: u64,
}

/// What a group knows of a partition.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Book {
    /// The first offset that is not settled: the committed one.
    floor: i64,
    /// The states of the offsets from the floor on. What comes after them is untouched.
    states: VecDeque<u8>,
    pub(super) counts: Counts,
    /// Who was given messages last, and when, in Unix milliseconds.
    pub(super) holder: String,
    pub(super) since_ms: i64,
    /// Offsets below may have been delivered by a group that the broker has lost.
    pub(super) repeat_until: i64,
    /// How often the broker had lost the group.
    pub(super) recreated: u64,
    /// Whether the counts do not begin with the partition.
    pub(super) uncounted: bool,
    /// The first message that was delivered here, or moved here, and is not settled.
    pub(super) oldest: MessageId,
    /// The last message that was delivered here.
    pub(super) last: MessageId,
}

impl Book {
    /// Of a partition of which nothing is known but where it begins.
    pub(super) fn at(floor: i64) -> Self {
        Self {
            floor,
            ..Self::default()
        }
    }

    pub(super) fn floor(&self) -> i64 {
        self.floor
    }

    /// The first offset of which nothing is known.
    pub(super) fn end(&self) -> i64 {
        self.floor
            .saturating_add(i64::try_from(self.states.len()).unwrap_or(i64::MAX))
    }

    pub(super) fn state(&self, offset: i64) -> State {
        if offset < self.floor {
            return State::Settled;
        }
        self.index(offset)
            .and_then(|index| self.states.get(index))
            .map_or(State::Untouched, |byte| State::of(*byte))
    }

    /// Whether something is to be done about an offset.
    pub(super) fn is_open(&self, offset: i64) -> bool {
        self.state(offset) != State::Settled
    }

    /// Whether there is room to note something of an offset.
    pub(super) fn has_room_for(&self, offset: i64) -> bool {
        offset.saturating_sub(self.floor) < WINDOW
    }

    /// How often an offset was delivered when it is delivered next, and whether it may have been
    /// processed before.
    pub(super) fn next_delivery(&self, offset: i64) -> (u32, bool) {
        match self.state(offset) {
            State::Delivered(times) => (times.saturating_add(1), true),
            State::Untouched | State::Settled => (1, offset < self.repeat_until),
        }
    }

    /// Notes a delivery.
    pub(super) fn deliver(&mut self, offset: i64, id: MessageId) {
        let (deliveries, _) = self.next_delivery(offset);
        self.set(offset, State::Delivered(deliveries));
        self.last = self.last.max(id);
    }

    /// Notes that a message was not started.
    pub(super) fn hand_back(&mut self, offset: i64, deliveries: u32) {
        if let State::Delivered(_) = self.state(offset) {
            self.set(offset, State::Delivered(deliveries));
        }
    }

    /// Settles an offset; gives whether it was open.
    pub(super) fn settle(&mut self, offset: i64, outcome: Outcome) -> bool {
        if !self.is_open(offset) || !self.has_room_for(offset) {
            return false;
        }
        self.set(offset, State::Settled);
        let count = match outcome {
            Outcome::Done => &mut self.counts.done,
            Outcome::Dead => &mut self.counts.dead,
            Outcome::Moved => &mut self.counts.moved,
            Outcome::Hole => &mut self.counts.holes,
            Outcome::Vanished => &mut self.counts.vanished,
        };
        *count += 1;
        while self.states.front() == Some(&SETTLED) {
            self.states.pop_front();
            self.floor += 1;
        }
        true
    }

    /// Notes that there is nothing between two offsets, of which the second is excluded: what was
    /// delivered has vanished, the rest never was a message.
    pub(super) fn pass_over(&mut self, from: i64, to: i64) {
        for offset in from.max(self.floor)..to {
            let outcome = match self.state(offset) {
                State::Settled => continue,
                State::Untouched => Outcome::Hole,
                State::Delivered(_) => Outcome::Vanished,
            };
            if !self.has_room_for(offset) {
                return;
            }
            self.settle(offset, outcome);
        }
    }

    /// The broker has deleted everything below an offset.
    pub(super) fn begin_at(&mut self, low: i64) {
        let gone = low.saturating_sub(self.floor);
        if gone <= 0 {
            return;
        }
        let settled = self
            .states
            .iter()
            .take(usize::try_from(gone).unwrap_or(usize::MAX))
            .filter(|byte| **byte == SETTLED)
            .count();
        let open = u64::try_from(gone)
            .unwrap_or(0)
            .saturating_sub(u64::try_from(settled).unwrap_or(0));
        self.counts.vanished += open;
        for _ in 0..gone.min(WINDOW) {
            self.states.pop_front();
        }
        self.floor = low;
        while self.states.front() == Some(&SETTLED) {
            self.states.pop_front();
            self.floor += 1;
        }
    }

    /// Delivered and not settled.
    pub(super) fn pending(&self) -> u64 {
        self.count(|byte| byte > UNTOUCHED)
    }

    /// Delivered and not settled, and not handed back.
    pub(super) fn in_hand(&self) -> u64 {
        self.count(|byte| byte > HANDED_BACK)
    }

    /// Never delivered, among the offsets of which something is known.
    pub(super) fn untouched(&self) -> u64 {
        self.count(|byte| byte == UNTOUCHED)
    }

    /// The open offsets that were delivered, with their deliveries.
    pub(super) fn delivered(&self) -> impl Iterator<Item = (i64, u32)> {
        (self.floor..)
            .zip(&self.states)
            .filter_map(|(offset, byte)| match State::of(*byte) {
                State::Delivered(times) => Some((offset, times)),
                State::Settled | State::Untouched => None,
            })
    }

    fn count(&self, wanted: impl Fn(u8) -> bool) -> u64 {
        let count = self.states.iter().filter(|byte| wanted(**byte)).count();
        u64::try_from(count).unwrap_or(u64::MAX)
    }

    fn index(&self, offset: i64) -> Option<usize> {
        usize::try_from(offset.checked_sub(self.floor)?).ok()
    }

    fn set(&mut self, offset: i64, state: State) {
        let Some(index) = self.index(offset) else {
            return;
        };
        while self.states.len() <= index {
            self.states.push_back(UNTOUCHED);
        }
        if let Some(byte) = self.states.get_mut(index) {
            *byte = state.byte();
        }
    }
}

const SETTLED: u8 = 0;
const UNTOUCHED: u8 = 1;
const HANDED_BACK: u8 = 2;

impl State {
    fn of(byte: u8) -> Self {
        match byte {
            SETTLED => Self::Settled,
            UNTOUCHED => Self::Untouched,
            times => Self::Delivered(u32::from(times - HANDED_BACK)),
        }
    }

    fn byte(self) -> u8 {
        match self {
            Self::Settled => SETTLED,
            Self::Untouched => UNTOUCHED,
            Self::Delivered(times) => u8::try_from(times)
                .unwrap_or(u8::MAX)
                .saturating_add(HANDED_BACK),
        }
    }
}
