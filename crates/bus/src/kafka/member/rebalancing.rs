//! Partitions come and go. Who owns a partition owns its retries, which have the same number: the
//! brokers assign the partitions of the topic only.

use std::collections::BTreeSet;
use std::sync::{PoisonError, Weak};
use std::time::{Duration, Instant};

use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, Consumer as _, ConsumerContext};
use rdkafka::error::KafkaError;
use rdkafka::topic_partition_list::TopicPartitionListElem;
use rdkafka::types::RDKafkaRespErr;
use rdkafka::{ClientContext, Offset, TopicPartitionList};

use super::desk::{Desk, Pile};
use super::{KafkaMember, Lanes};
use crate::error::BusError;
use crate::kafka::book::Book;
use crate::kafka::client::{failed, locked, tell};
use crate::kafka::groups::first_book;
use crate::kafka::looker::{LOOKER, Span, read_books};

/// How long messages in hand may keep a partition from its next owner.
const LEAVING_MAX: Duration = Duration::from_secs(10);
/// How often it is asked whether they still do.
const LEAVING_INTERVAL: Duration = Duration::from_millis(20);
/// How often the books of new partitions are asked for.
const READS_MAX: u32 = 3;

/// The books of a partition.
type Books = (i32, Lanes<Book>);

/// Tells a member what becomes of its partitions.
pub(super) struct Attending(pub(super) Weak<KafkaMember>);

impl ClientContext for Attending {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        tell(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        tracing::debug!(%error, reason, "librdkafka");
    }
}

impl ConsumerContext for Attending {
    fn rebalance(
        &self,
        consumer: &BaseConsumer<Self>,
        event: RDKafkaRespErr,
        list: &mut TopicPartitionList,
    ) {
        let member = self.0.upgrade();
        let partitions: BTreeSet<i32> = list
            .elements()
            .iter()
            .map(TopicPartitionListElem::partition)
            .collect();
        let coming = event == RDKafkaRespErr::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS;
        let result = match (member, coming) {
            (Some(member), true) => member.welcome(consumer, &partitions),
            (None, true) => consumer.incremental_assign(list),
            (Some(member), false) => member.part_from(consumer, &partitions),
            (None, false) => consumer.incremental_unassign(list),
        };
        if let Err(error) = result {
            tracing::warn!(%error, coming, "rebalancing failed");
        }
    }
}

impl KafkaMember {
    /// Takes partitions over, each where the book says.
    fn welcome(
        &self,
        consumer: &BaseConsumer<Attending>,
        partitions: &BTreeSet<i32>,
    ) -> Result<(), KafkaError> {
        let (topic, group) = (self.topic.name, self.membership.group);
        tracing::debug!(topic, group, ?partitions, "partitions come");
        if partitions.is_empty() {
            locked(&self.hall).is_between = false;
            return consumer.incremental_assign(&TopicPartitionList::new());
        }
        let mut reads = 0;
        let pages = loop {
            reads += 1;
            match self.read_pages(consumer, partitions) {
                Ok(pages) => break pages,
                Err(error) if reads < READS_MAX && !self.is_gone() => {
                    tracing::warn!(topic, group, %error, "reading the books failed; trying again");
                }
                Err(error) => {
                    tracing::warn!(topic, group, %error, "reading the books failed; joining anew");
                    locked(&self.hall).is_broken = true;
                    break Vec::new();
                }
            }
        };
        let mut list = TopicPartitionList::new();
        let mut hall = locked(&self.hall);
        for (partition, books) in pages {
            for (name, book) in [
                (&self.names.main, &books.main),
                (&self.names.retry, &books.retry),
            ] {
                list.add_partition_offset(name, partition, Offset::Offset(book.floor()))?;
            }
            let desk = Desk {
                piles: Lanes {
                    main: Pile::at(books.main),
                    retry: Pile::at(books.retry),
                },
                ..Desk::default()
            };
            hall.desks.insert(partition, desk);
        }
        hall.is_between = false;
        drop(hall);
        consumer.incremental_assign(&list)?;
        // One that was here before may have been paused when it went.
        consumer.resume(&list)
    }

    /// Reads the books of partitions, for one that somebody added since, too.
    fn read_pages(
        &self,
        consumer: &BaseConsumer<Attending>,
        partitions: &BTreeSet<i32>,
    ) -> Result<Vec<Books>, BusError> {
        let count = partitions.last().map_or(0, |last| last.saturating_add(1));
        let looker = self.core.looker(LOOKER)?;
        self.end_transaction()?;
        let read = |name: &String, main: bool| {
            let places: Vec<(String, i32)> =
                partitions.iter().map(|p| (name.clone(), *p)).collect();
            let books = read_books(consumer, &places, self.timeout())?;
            let spans = looker.spans(name, count)?;
            let span_of = |partition: i32| {
                let found = spans.iter().find(|span| span.partition == partition);
                let (from, to) = (0, 0);
                found.copied().unwrap_or(Span {
                    partition,
                    from,
                    to,
                })
            };
            let books = partitions.iter().zip(books).map(|(partition, book)| {
                let span = span_of(*partition);
                let mut book = book.unwrap_or_else(|| first_book(span, false, main));
                let before = book.counts.vanished;
                book.begin_at(span.from);
                self.report_vanished(book.counts.vanished - before);
                book
            });
            Ok::<_, BusError>(books.collect::<Vec<Book>>())
        };
        let main = read(&self.names.main, true)?;
        let retry = read(&self.names.retry, false)?;
        let books = main.into_iter().zip(retry);
        let books = books.map(|(main, retry)| Lanes { main, retry });
        Ok(partitions.iter().copied().zip(books).collect())
    }

    fn report_vanished(&self, lost: u64) {
        let (topic, group) = (self.topic.name, self.membership.group);
        if lost > 0 {
            crate::metrics::count(crate::metrics::VANISHED, topic, group, lost);
            tracing::error!(
                topic,
                group,
                lost,
                "open messages were deleted: work is lost"
            );
        }
    }

    /// Lets partitions go. Messages in hand are given a bounded time to be settled; after it, they
    /// are somebody else's.
    fn part_from(
        &self,
        consumer: &BaseConsumer<Attending>,
        partitions: &BTreeSet<i32>,
    ) -> Result<(), KafkaError> {
        let (topic, group) = (self.topic.name, self.membership.group);
        let is_lost = consumer.assignment_lost();
        tracing::debug!(topic, group, ?partitions, is_lost, "partitions go");
        let longest = LEAVING_MAX.min(self.options.lease);
        let deadline = Instant::now() + longest;
        let mut hall = locked(&self.hall);
        for partition in partitions {
            if let Some(desk) = hall.desks.get_mut(partition) {
                desk.is_leaving = true;
            }
        }
        let busy = |hall: &super::Hall| {
            let mut leaving = hall.desks.values().filter(|desk| desk.is_leaving);
            leaving.any(|desk| desk.is_busy(&self.in_hand))
        };
        while !is_lost && !self.is_gone() && busy(&hall) && Instant::now() < deadline {
            let waited = self.changed.wait_timeout(hall, LEAVING_INTERVAL);
            (hall, _) = waited.unwrap_or_else(PoisonError::into_inner);
        }
        // Who was taken for dead asks again who owns what.
        hall.is_between |= is_lost;
        let mut list = TopicPartitionList::new();
        for partition in partitions {
            if hall.desks.contains_key(partition) {
                list.add_partition(&self.names.main, *partition);
                list.add_partition(&self.names.retry, *partition);
                hall.remove(*partition);
            }
        }
        drop(hall);
        consumer.incremental_unassign(&list)
    }

    /// Reads the books again where an answer got lost.
    pub(super) fn make_sure(
        &self,
        consumer: &BaseConsumer<Attending>,
        hall: &mut super::Hall,
    ) -> Result<(), BusError> {
        let unsure = hall.desks.iter().filter(|(_, desk)| desk.is_unsure);
        let unsure: Vec<i32> = unsure.map(|(partition, _)| *partition).collect();
        if !unsure.is_empty() {
            self.end_transaction()?;
        }
        for name in [&self.names.main, &self.names.retry] {
            let places: Vec<(String, i32)> = unsure.iter().map(|p| (name.clone(), *p)).collect();
            if places.is_empty() {
                continue;
            }
            let books = read_books(consumer, &places, self.timeout())?;
            for (partition, book) in unsure.iter().zip(books) {
                let (Some(desk), Some(book)) = (hall.desks.get_mut(partition), book) else {
                    continue;
                };
                if *name == self.names.main {
                    desk.piles.main.correct(book);
                } else {
                    desk.piles.retry.correct(book);
                    desk.is_unsure = false;
                }
            }
        }
        if !unsure.is_empty() {
            let open = &hall.desks;
            hall.failed.retain(|_, (partition, offset)| {
                let desk = open.get(partition);
                desk.is_some_and(|desk| desk.piles.retry.records.contains_key(offset))
            });
        }
        Ok(())
    }
}

/// What an error of the client means.
pub(super) fn not_committed(error: &KafkaError) -> BusError {
    failed("committing", error)
}
