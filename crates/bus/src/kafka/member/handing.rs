//! Handing messages out. A delivery is committed before it takes place: so nobody is ever told that
//! he is the first to see a message that somebody else may have processed.

use std::collections::{BTreeMap, BTreeSet};

use crash_points::{CrashPoint, reached};
use rdkafka::TopicPartitionList;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer as _};

use super::desk::Hall;
use super::rebalancing::{Attending, not_committed};
use super::session::Senders;
use super::{KafkaMember, Lane, unsettled};
use crate::backoff::RetryPolicy;
use crate::delivery::Delivery;
use crate::error::BusError;
use crate::in_hand::DeliveryBatch;
use crate::kafka::client::{locked, now_ms};
use crate::kafka::ledger::Page;
use crate::kafka::looker::add_book;
use crate::metrics;
use crate::settlement::{Settlement, Verdict};

/// A message that is to be handed out.
type Pick = (i32, Lane, i64);

/// What is to be handed out together.
struct Picks {
    all: Vec<Pick>,
    /// Deliveries, this one included.
    deliveries: u32,
}

impl KafkaMember {
    /// Hands out what is there, as far as there is room; gives whether anything was.
    pub(super) fn tend(
        &self,
        consumer: &BaseConsumer<Attending>,
        senders: Option<&Senders>,
    ) -> Result<bool, BusError> {
        let mut hall = locked(&self.hall);
        for desk in hall.desks.values_mut() {
            for lane in [Lane::Main, Lane::Retry] {
                let pile = desk.piles.get_mut(lane);
                pile.wake(now_ms(), &self.in_hand, self.options.lease);
            }
        }
        // Asked here, where nobody else is: what is handed back after the signal stays back.
        let Some((fresh, claimed)) = senders.filter(|_| !self.stop.is_cancelled()) else {
            return Ok(false);
        };
        hall.is_changing = false;
        self.make_sure(consumer, &mut hall)?;
        let mut handed_out = false;
        for (sender, again) in [(fresh, false), (claimed, true)] {
            let Ok(place) = sender.try_reserve() else {
                continue;
            };
            let Some(picks) = self.pick(&hall, again) else {
                continue;
            };
            if picks.deliveries > self.options.retry.deliveries_max {
                drop(place);
                let exhausted = exhausted(&hall, &picks);
                self.settle_in(consumer, &mut hall, (&exhausted, &[]))?;
            } else {
                place.send(self.hand_out(consumer, &mut hall, &picks)?);
            }
            handed_out = true;
        }
        Ok(handed_out)
    }

    /// Chooses what goes together: new messages, or those that came equally often.
    fn pick(&self, hall: &Hall, again: bool) -> Option<Picks> {
        let mut picks = Picks {
            all: Vec::new(),
            deliveries: 0,
        };
        let mut most = self.options.batch_max;
        let turn = hall.turn;
        let desks = hall.desks.range(turn..).chain(hall.desks.range(..turn));
        for (partition, desk) in desks.filter(|(_, desk)| !desk.is_leaving) {
            for lane in [Lane::Retry, Lane::Main] {
                let pile = desk.piles.get(lane);
                for offset in &pile.ready {
                    if picks.all.len() >= most || !pile.book.has_room_for(*offset) {
                        break;
                    }
                    let (times, repeat) = pile.book.next_delivery(*offset);
                    let before = pile
                        .records
                        .get(offset)
                        .map_or(0, super::desk::Known::deliveries_before);
                    let deliveries = before.saturating_add(times);
                    let comes_again = repeat || deliveries > 1;
                    if comes_again != again {
                        continue;
                    }
                    if picks.all.is_empty() {
                        picks.deliveries = deliveries;
                        most = RetryPolicy::batch_max(deliveries, self.options.batch_max).max(1);
                    }
                    if deliveries == picks.deliveries {
                        picks.all.push((*partition, lane, *offset));
                    }
                }
            }
        }
        (!picks.all.is_empty()).then_some(picks)
    }

    /// Commits deliveries, and makes a batch of them.
    fn hand_out(
        &self,
        consumer: &BaseConsumer<Attending>,
        hall: &mut Hall,
        picks: &Picks,
    ) -> Result<DeliveryBatch, BusError> {
        let mut pages: BTreeMap<i32, Page> = BTreeMap::new();
        let mut messages: Vec<Delivery> = Vec::with_capacity(picks.all.len());
        for (partition, lane, offset) in &picks.all {
            let Some(desk) = hall.desks.get_mut(partition) else {
                continue;
            };
            let page = pages.entry(*partition).or_insert_with(|| {
                desk.piles.main.compare();
                desk.piles.retry.compare();
                desk.page()
            });
            let Some(known) = desk.piles.get(*lane).records.get(offset) else {
                continue;
            };
            let book = page.book_mut(*lane);
            let (_, repeat) = book.next_delivery(*offset);
            book.deliver(*offset, known.id);
            book.holder.clone_from(&self.membership.consumer);
            book.since_ms = now_ms();
            let repeat = repeat || *lane == Lane::Retry;
            messages.push(Delivery::of(known.message(), picks.deliveries, repeat));
        }
        for (partition, page) in &mut pages {
            if let Some(desk) = hall.desks.get(partition) {
                desk.note_oldest(page);
            }
        }
        self.commit(consumer, hall, pages)?;
        reached(CrashPoint::BusReadDelivered);
        let batch = DeliveryBatch::of(messages, &self.in_hand, &self.membership);
        for (partition, lane, offset) in &picks.all {
            if let Some(desk) = hall.desks.get_mut(partition) {
                let pile = desk.piles.get_mut(*lane);
                pile.ready.remove(offset);
                pile.held.insert(*offset, None);
            }
            hall.turn = partition.saturating_add(1);
        }
        if picks.deliveries > 1 {
            let (topic, group) = (self.topic.name, self.membership.group);
            let count = u64::try_from(picks.all.len()).unwrap_or(0);
            metrics::count(metrics::CLAIMED, topic, group, count);
        }
        Ok(batch)
    }

    /// What is to be committed.
    pub(super) fn list_of(
        &self,
        pages: &BTreeMap<i32, Page>,
    ) -> Result<TopicPartitionList, BusError> {
        let mut list = TopicPartitionList::new();
        for (partition, page) in pages {
            for (name, book) in [
                (&self.names.main, &page.main),
                (&self.names.retry, &page.retry),
            ] {
                add_book(&mut list, (name, *partition), book)
                    .map_err(|error| not_committed(&error))?;
            }
        }
        Ok(list)
    }

    /// Commits books, and puts them in place.
    pub(super) fn commit(
        &self,
        consumer: &BaseConsumer<Attending>,
        hall: &mut Hall,
        pages: BTreeMap<i32, Page>,
    ) -> Result<(), BusError> {
        if pages.is_empty() {
            return Ok(());
        }
        let list = self.list_of(&pages)?;
        if let Err(error) = consumer.commit(&list, CommitMode::Sync) {
            return Err(unsettled("committing", &error, hall));
        }
        for (partition, page) in pages {
            if let Some(desk) = hall.desks.get_mut(&partition) {
                desk.set(page);
            }
        }
        Ok(())
    }
}

/// Messages whose members died over them as often as is allowed are not tried again.
fn exhausted(hall: &Hall, picks: &Picks) -> Settlement {
    let deliveries = picks.deliveries.saturating_sub(1);
    let known = picks.all.iter().filter_map(|pick| hall.known(*pick));
    let ids: BTreeSet<_> = known.map(|known| known.id).collect();
    let dead = ids.into_iter().map(|id| Verdict {
        id,
        reason: "deliveries_exhausted".to_owned(),
        error: format!("not settled in {deliveries} deliveries"),
    });
    Settlement {
        dead: dead.collect(),
        ..Settlement::default()
    }
}
