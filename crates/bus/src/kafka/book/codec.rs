//! A book as a text of at most 4,096 bytes, which is what a broker takes unless it is told
//! otherwise: a version, and Base64 of numbers of variable length.

use std::collections::VecDeque;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD as BASE64;

use super::{Book, Counts, WINDOW};
use crate::message_id::MessageId;

/// The first character of what this version writes.
const VERSION: char = '1';
/// The most bytes of a holder's name that are kept.
const HOLDER_MAX: usize = 100;
/// The highest state that fits into half a byte.
const NIBBLE_MAX: u8 = 15;

impl Book {
    /// The text to commit along with the floor.
    pub(in crate::kafka) fn encode(&self) -> String {
        let mut bytes = Vec::with_capacity(128);
        let Counts {
            done,
            dead,
            moved,
            holes,
            vanished,
        } = self.counts;
        for number in [
            u64::from(self.uncounted),
            done,
            dead,
            moved,
            holes,
            vanished,
            unsigned(self.since_ms),
            unsigned(self.repeat_until),
            self.recreated,
            self.oldest.major,
            self.oldest.minor,
            self.last.major,
            self.last.minor,
        ] {
            push(&mut bytes, number);
        }
        let holder = self
            .holder
            .get(..self.holder.floor_char_boundary(HOLDER_MAX));
        let holder = holder.unwrap_or_default().as_bytes();
        push(&mut bytes, wide(holder.len()));
        bytes.extend_from_slice(holder);
        push(&mut bytes, wide(self.states.len()));
        let runs = runs(&self.states);
        if runs.len() <= self.states.len().div_ceil(2) {
            bytes.push(0);
            bytes.extend(runs);
        } else {
            bytes.push(1);
            bytes.extend(nibbles(&self.states));
        }
        format!("{VERSION}{}", BASE64.encode(bytes))
    }

    /// What was committed along with a floor. A group that somebody else used for this partition has
    /// no book: its counts do not begin with the partition.
    pub(in crate::kafka) fn decode(floor: i64, text: &str) -> Self {
        let bytes = text.strip_prefix(VERSION).map(|text| BASE64.decode(text));
        let book = bytes.and_then(|bytes| read(floor, &mut bytes.ok()?.as_slice()));
        book.unwrap_or_else(|| Self {
            uncounted: true,
            ..Self::at(floor)
        })
    }
}

fn read(floor: i64, bytes: &mut &[u8]) -> Option<Book> {
    let mut next = || take(bytes);
    let uncounted = next()? == 1;
    let counts = Counts {
        done: next()?,
        dead: next()?,
        moved: next()?,
        holes: next()?,
        vanished: next()?,
    };
    let mut book = Book {
        floor,
        counts,
        uncounted,
        since_ms: i64::try_from(next()?).ok()?,
        repeat_until: i64::try_from(next()?).ok()?,
        recreated: next()?,
        oldest: MessageId {
            major: next()?,
            minor: next()?,
        },
        last: MessageId {
            major: next()?,
            minor: next()?,
        },
        ..Book::default()
    };
    let length = usize::try_from(next()?).ok()?;
    let (holder, rest) = bytes.split_at_checked(length)?;
    book.holder = String::from_utf8(holder.to_vec()).ok()?;
    *bytes = rest;
    let length = take(bytes)?;
    let length = usize::try_from(length.min(unsigned(WINDOW))).ok()?;
    let (kind, rest) = bytes.split_first()?;
    *bytes = rest;
    while book.states.len() < length && *kind == 0 {
        let (state, rest) = bytes.split_first()?;
        *bytes = rest;
        let run = usize::try_from(take(bytes)?).ok()?;
        let run = run.min(length - book.states.len());
        book.states.extend(std::iter::repeat_n(*state, run));
    }
    if *kind == 1 {
        let halves = bytes.iter().flat_map(|byte| [byte >> 4, byte & NIBBLE_MAX]);
        book.states.extend(halves.take(length));
    }
    (book.states.len() == length).then_some(book)
}

/// Each state with how often it comes in a row.
fn runs(states: &VecDeque<u8>) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut states = states.iter().copied().peekable();
    while let Some(state) = states.next() {
        let mut run = 1;
        while states.next_if_eq(&state).is_some() {
            run += 1;
        }
        bytes.push(state);
        push(&mut bytes, run);
    }
    bytes
}

/// Two states in a byte. What was delivered more often than fits counts as delivered so often.
fn nibbles(states: &VecDeque<u8>) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(states.len().div_ceil(2));
    let mut states = states.iter().map(|state| (*state).min(NIBBLE_MAX));
    while let Some(high) = states.next() {
        bytes.push((high << 4) | states.next().unwrap_or(0));
    }
    bytes
}

/// Seven bits in a byte, the lowest first; the highest bit says that more come.
fn push(bytes: &mut Vec<u8>, mut number: u64) {
    while number >= 128 {
        bytes.push(u8::try_from(number & 127).unwrap_or(0) | 128);
        number >>= 7;
    }
    bytes.push(u8::try_from(number).unwrap_or(0));
}

fn take(bytes: &mut &[u8]) -> Option<u64> {
    let mut number = 0;
    for place in 0..10 {
        let (byte, rest) = bytes.split_first()?;
        *bytes = rest;
        number |= u64::from(byte & 127) << (7 * place);
        if byte & 128 == 0 {
            return Some(number);
        }
    }
    None
}

fn unsigned(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}

fn wide(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}
