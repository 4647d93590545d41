//! What a member has of the partitions that it owns.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::{Duration, Instant};

use common::messages::REDRIVEN_FROM;
use rdkafka::Message as _;
use rdkafka::message::{BorrowedMessage, OwnedHeaders};

use super::{Failure, Lane, Lanes};
use crate::delivery::StoredMessage;
use crate::in_hand::InHand;
use crate::kafka::book::{Book, State, WINDOW};
use crate::kafka::ledger::Page;
use crate::kafka::place::Place;
use crate::kafka::record::{Record, decode, header};
use crate::message_id::MessageId;

/// The desks of a member, and where the messages are that wait for a retry.
#[derive(Debug, Default)]
pub(super) struct Hall {
    pub(super) desks: BTreeMap<i32, Desk>,
    pub(super) failed: HashMap<MessageId, (i32, i64)>,
    /// Whether a session has ended, and the next one was not given its partitions yet.
    pub(super) is_between: bool,
    /// Whether the session cannot go on.
    pub(super) is_broken: bool,
    /// Whether a commit failed because members come and go: it succeeds when they have.
    pub(super) is_changing: bool,
    /// The partition that is served first the next time.
    pub(super) turn: i32,
}

/// A partition and its retries.
#[derive(Debug, Default)]
pub(super) struct Desk {
    pub(super) piles: Lanes<Pile>,
    /// Whether the partition goes to somebody else: nothing is handed out any more.
    pub(super) is_leaving: bool,
    /// Whether an answer got lost, and the books must be read again.
    pub(super) is_unsure: bool,
}

/// What was fetched of a partition and is not settled.
#[derive(Debug, Default)]
pub(super) struct Pile {
    pub(super) book: Book,
    /// All before was fetched.
    pub(super) position: i64,
    /// All before was compared with the book.
    compared: i64,
    pub(super) records: BTreeMap<i64, Known>,
    /// To be handed out.
    pub(super) ready: BTreeSet<i64>,
    /// To be handed out at a time, in Unix milliseconds.
    pub(super) waiting: BTreeSet<(i64, i64)>,
    /// Handed out; since when nobody has it any more.
    pub(super) held: BTreeMap<i64, Option<Instant>>,
    pub(super) bytes: usize,
    pub(super) is_paused: bool,
}

/// A record as it was fetched.
#[derive(Debug, Clone)]
pub(super) struct Known {
    pub(super) id: MessageId,
    pub(super) record: Record,
    pub(super) failure: Option<Failure>,
}

impl Known {
    pub(super) fn of(fetched: &BorrowedMessage<'_>) -> Self {
        let place = Place {
            partition: fetched.partition(),
            offset: fetched.offset(),
        };
        let id = place.id(fetched.timestamp().to_millis().unwrap_or_default());
        let (id, failure) = match Failure::of(fetched) {
            Some((id, failure)) => (id, Some(failure)),
            None => (id, None),
        };
        let first_id = header(fetched.headers(), REDRIVEN_FROM);
        let headers = first_id.map(|id| (REDRIVEN_FROM, id.to_vec()));
        Self {
            id,
            record: Record {
                key: fetched.key().map(<[u8]>::to_vec),
                value: fetched.payload().map(<[u8]>::to_vec),
                headers: headers.into_iter().collect(),
            },
            failure,
        }
    }

    /// The message that it is.
    pub(super) fn message(&self) -> StoredMessage {
        let headers: Option<OwnedHeaders> = self.record.native_headers();
        StoredMessage {
            id: self.id,
            fields: decode(self.record.value.as_deref(), headers.as_ref()),
        }
    }

    /// Deliveries before it came to where it is now.
    pub(super) fn deliveries_before(&self) -> u32 {
        self.failure
            .as_ref()
            .map_or(0, |failure| failure.deliveries)
    }

    fn bytes(&self) -> usize {
        let value = self.record.value.as_ref().map_or(0, Vec::len);
        value + self.record.key.as_ref().map_or(0, Vec::len)
    }
}

impl Pile {
    pub(super) fn at(book: Book) -> Self {
        Self {
            position: book.floor(),
            compared: book.floor(),
            book,
            ..Self::default()
        }
    }

    /// Takes in a record that was fetched; gives whether there is anything to be done about it.
    pub(super) fn take_in(&mut self, offset: i64, known: Known, in_hand: &InHand) -> bool {
        if offset < self.position {
            return false;
        }
        self.position = offset.saturating_add(1);
        if !self.book.is_open(offset) || self.records.contains_key(&offset) {
            return false;
        }
        self.add(offset, known, in_hand);
        true
    }

    /// Adds a record, wherever its turn is.
    pub(super) fn add(&mut self, offset: i64, known: Known, in_hand: &InHand) {
        if in_hand.contains(known.id) {
            self.held.insert(offset, None);
        } else if let Some(failure) = &known.failure {
            self.waiting.insert((failure.due_ms, offset));
        } else {
            self.ready.insert(offset);
        }
        self.bytes += known.bytes();
        self.records.insert(offset, known);
    }

    /// Adds a record that waits for its retry, though somebody still has it in hand: as failed.
    pub(super) fn add_waiting(&mut self, offset: i64, known: Known) {
        let due_ms = known.failure.as_ref().map_or(0, |failure| failure.due_ms);
        self.waiting.insert((due_ms, offset));
        self.bytes += known.bytes();
        self.records.insert(offset, known);
    }

    /// Forgets a record that is settled.
    pub(super) fn remove(&mut self, offset: i64) -> Option<Known> {
        let known = self.records.remove(&offset)?;
        self.ready.remove(&offset);
        self.held.remove(&offset);
        if let Some(failure) = &known.failure {
            self.waiting.remove(&(failure.due_ms, offset));
        }
        self.bytes = self.bytes.saturating_sub(known.bytes());
        Some(known)
    }

    /// Makes ready what is due, and what nobody has had for as long as the lease.
    pub(super) fn wake(&mut self, now_ms: i64, in_hand: &InHand, lease: Duration) {
        self.compare();
        while let Some((due_ms, offset)) = self.waiting.first().copied() {
            if due_ms > now_ms {
                break;
            }
            self.waiting.pop_first();
            self.ready.insert(offset);
        }
        let mut lapsed = Vec::new();
        for (offset, since) in &mut self.held {
            let known = self.records.get(offset);
            if known.is_some_and(|known| in_hand.contains(known.id)) {
                *since = None;
            } else if since.get_or_insert_with(Instant::now).elapsed() >= lease {
                lapsed.push(*offset);
            }
        }
        for offset in lapsed {
            self.held.remove(&offset);
            self.ready.insert(offset);
        }
    }

    /// Notes in the book what was passed over: offsets that were fetched and had no record.
    pub(super) fn compare(&mut self) {
        let end = self.position.min(self.book.floor().saturating_add(WINDOW));
        let mut offset = self.compared.max(self.book.floor());
        while offset < end {
            if self.book.is_open(offset) && !self.records.contains_key(&offset) {
                self.book.pass_over(offset, offset + 1);
            }
            offset += 1;
        }
        self.compared = offset;
    }

    /// Puts a book in place of the one that may be wrong.
    pub(super) fn correct(&mut self, book: Book) {
        self.book = book;
        self.compared = self.book.floor();
        let closed: Vec<i64> = self
            .records
            .keys()
            .copied()
            .filter(|offset| !self.book.is_open(*offset))
            .collect();
        for offset in closed {
            self.remove(offset);
        }
    }

    /// Whether no more should be fetched now.
    pub(super) fn is_full(&self, records_max: usize, bytes_max: usize) -> bool {
        self.ready.len() >= records_max
            || self.bytes >= bytes_max
            || !self.book.has_room_for(self.position)
    }
}

impl Desk {
    /// The books as they are to be committed.
    pub(super) fn page(&self) -> Page {
        let mut page = Page {
            main: self.piles.main.book.clone(),
            retry: self.piles.retry.book.clone(),
        };
        self.note_oldest(&mut page);
        page
    }

    /// Notes the first messages that are open. Those that were not fetched yet are known from the
    /// book as it was.
    pub(super) fn note_oldest(&self, page: &mut Page) {
        let Lanes { main, retry } = &self.piles;
        let first = page.main.delivered().next().map(|(offset, _)| offset);
        page.main.oldest = match first {
            None => MessageId::ZERO,
            Some(offset) => main
                .records
                .get(&offset)
                .map_or(page.main.oldest, |known| known.id),
        };
        let open = retry.records.iter();
        let open = open.filter(|(offset, _)| page.retry.is_open(**offset));
        let open: Vec<MessageId> = open.map(|(_, known)| known.id).collect();
        let known = open.iter().min().copied().unwrap_or(MessageId::MAX);
        let failed = page.failed();
        let all_known = u64::try_from(open.len()).is_ok_and(|open| open == failed);
        page.retry.oldest = if failed == 0 {
            MessageId::ZERO
        } else if all_known || page.retry.oldest == MessageId::ZERO {
            known
        } else {
            known.min(page.retry.oldest)
        };
    }

    pub(super) fn set(&mut self, page: Page) {
        self.piles.main.book = page.main;
        self.piles.retry.book = page.retry;
    }

    /// Whether messages of it are handed out and somebody has them.
    pub(super) fn is_busy(&self, in_hand: &InHand) -> bool {
        [Lane::Main, Lane::Retry].into_iter().any(|lane| {
            let pile = self.piles.get(lane);
            let known = pile
                .held
                .keys()
                .filter_map(|offset| pile.records.get(offset));
            let mut known = known.map(|known| known.id);
            known.any(|id| in_hand.contains(id))
        })
    }
}

impl Hall {
    /// Where an open message is, which was delivered or waits for its retry.
    pub(super) fn find(&self, id: MessageId) -> Option<(i32, Lane, i64)> {
        if let Some((partition, offset)) = self.failed.get(&id) {
            return Some((*partition, Lane::Retry, *offset));
        }
        let place = Place::of(id)?;
        let pile = &self.desks.get(&place.partition)?.piles.main;
        let known = pile.records.get(&place.offset);
        let is_it = known.is_none_or(|known| known.id == id);
        let delivered = matches!(pile.book.state(place.offset), State::Delivered(_));
        (is_it && delivered).then_some((place.partition, Lane::Main, place.offset))
    }

    pub(super) fn known(&self, (partition, lane, offset): (i32, Lane, i64)) -> Option<&Known> {
        let desk = self.desks.get(&partition)?;
        desk.piles.get(lane).records.get(&offset)
    }

    /// Forgets a message that is settled.
    pub(super) fn close(&mut self, (partition, lane, offset): (i32, Lane, i64)) {
        let Some(desk) = self.desks.get_mut(&partition) else {
            return;
        };
        if let Some(known) = desk.piles.get_mut(lane).remove(offset)
            && lane == Lane::Retry
        {
            self.failed.remove(&known.id);
        }
    }

    /// Takes away a partition.
    pub(super) fn remove(&mut self, partition: i32) {
        self.desks.remove(&partition);
        self.failed.retain(|_, (at, _)| *at != partition);
    }
}
