//! Looks at topics and groups without being a member of anything. Everything here blocks.

use std::sync::Mutex;
use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};
use rdkafka::message::BorrowedMessage;
use rdkafka::{Message as _, Offset, TopicPartitionList};

use super::book::Book;
use super::client::{Telling, down, failed, locked};
use super::settings::KafkaServers;
use crate::error::BusError;

/// The group of those who look and never commit anything.
pub(super) const LOOKER: &str = "millrace-looker";
/// How long a look waits for transactions that are under way.
const COMMITTING_MAX: Duration = Duration::from_secs(1);
/// How long one wait for records is.
const WAIT: Duration = Duration::from_millis(100);

/// A client that reads what it is told to.
pub(super) struct Looker {
    consumer: BaseConsumer<Telling>,
    /// Sees the ends of partitions where transactions are under way.
    hasty: Option<BaseConsumer<Telling>>,
    /// Held while records are read: there is one place to read at.
    reading: Mutex<()>,
    timeout: Duration,
}

/// What a visitor of records wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Visit {
    /// More of them.
    On,
    /// No more of this partition.
    Enough,
}

/// Offsets of a partition, the last one excluded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) partition: i32,
    pub(super) from: i64,
    pub(super) to: i64,
}

impl Span {
    pub(super) fn len(self) -> u64 {
        u64::try_from(self.to.saturating_sub(self.from)).unwrap_or(0)
    }
}

impl Looker {
    pub(super) fn open(settings: &KafkaServers, group: &str) -> Result<Self, BusError> {
        let mut config = settings.consumer(group);
        config.set("fetch.wait.max.ms", "10");
        config.set("queued.min.messages", "1000");
        let consumer = config.create_with_context(Telling);
        config.set("isolation.level", "read_uncommitted");
        let hasty = (group == LOOKER).then(|| config.create_with_context(Telling));
        let what = "making a consumer";
        Ok(Self {
            consumer: consumer.map_err(|error| failed(what, &error))?,
            hasty: hasty.transpose().map_err(|error| failed(what, &error))?,
            reading: Mutex::default(),
            timeout: settings.timeout(),
        })
    }

    pub(super) fn consumer(&self) -> &BaseConsumer<Telling> {
        &self.consumer
    }

    pub(super) fn timeout(&self) -> Duration {
        self.timeout
    }

    /// How many partitions there are; `None` when there is no such topic.
    pub(super) fn partitions(&self, topic: &str) -> Result<Option<i32>, BusError> {
        let metadata = self.consumer.fetch_metadata(Some(topic), self.timeout);
        let metadata = metadata.map_err(|error| failed("asking for a topic", &error))?;
        let Some(found) = metadata.topics().first() else {
            return Ok(None);
        };
        match found.error().map(RDKafkaErrorCode::from) {
            None => {}
            Some(RDKafkaErrorCode::UnknownTopicOrPartition | RDKafkaErrorCode::UnknownTopic) => {
                return Ok(None);
            }
            Some(code) => {
                return Err(failed(
                    "asking for a topic",
                    &KafkaError::MetadataFetch(code),
                ));
            }
        }
        let count = i32::try_from(found.partitions().len()).unwrap_or(i32::MAX);
        Ok((count > 0).then_some(count))
    }

    /// What there is in each partition, as far as it is committed. Whoever committed a transaction
    /// just now sees what is in it: the mark that ends it comes a moment after the commit.
    pub(super) fn spans(&self, topic: &str, partitions: i32) -> Result<Vec<Span>, BusError> {
        let low = self.offsets(topic, partitions, Offset::Beginning)?;
        let hasty = self.hasty.as_ref().unwrap_or(&self.consumer);
        let written = self.offsets_by(hasty, (topic, partitions), Offset::End)?;
        let deadline = Instant::now() + COMMITTING_MAX;
        let high = loop {
            let high = self.offsets(topic, partitions, Offset::End)?;
            let all = high.iter().zip(&written).all(|(high, end)| high >= end);
            if all || deadline <= Instant::now() {
                break high;
            }
        };
        let spans = (0..).zip(low.into_iter().zip(high));
        Ok(spans
            .map(|(partition, (from, to))| Span {
                partition,
                from,
                to: to.max(from),
            })
            .collect())
    }

    /// The first offset of each partition whose record is not older; the end where there is none.
    pub(super) fn offsets_from(
        &self,
        topic: &str,
        spans: &[Span],
        time_ms: u64,
    ) -> Result<Vec<Span>, BusError> {
        let time = i64::try_from(time_ms).unwrap_or(i64::MAX);
        let count = i32::try_from(spans.len()).unwrap_or(0);
        let found = self.offsets(topic, count, Offset::Offset(time))?;
        let from = |(span, from): (&Span, i64)| Span {
            from: if from < 0 {
                span.to
            } else {
                from.max(span.from)
            },
            ..*span
        };
        Ok(spans.iter().zip(found).map(from).collect())
    }

    fn offsets(&self, topic: &str, partitions: i32, at: Offset) -> Result<Vec<i64>, BusError> {
        self.offsets_by(&self.consumer, (topic, partitions), at)
    }

    fn offsets_by(
        &self,
        consumer: &BaseConsumer<Telling>,
        (topic, partitions): (&str, i32),
        at: Offset,
    ) -> Result<Vec<i64>, BusError> {
        let what = "asking for offsets";
        let deadline = Instant::now() + self.timeout;
        let found = loop {
            let list = list_of(topic, (0..partitions).map(|partition| (partition, at)));
            let list = list.map_err(|error| failed(what, &error))?;
            match consumer.offsets_for_times(list, self.timeout) {
                Ok(found) => break found,
                // A topic that was created just now.
                Err(error) if is_passing(&error) && Instant::now() < deadline => {
                    let answer = consumer.fetch_metadata(Some(topic), self.timeout);
                    answer.map_err(|error| failed(what, &error))?;
                }
                Err(error) => return Err(failed(what, &error)),
            }
        };
        let mut offsets = Vec::new();
        for element in found.elements() {
            element.error().map_err(|error| failed(what, &error))?;
            offsets.push(match element.offset() {
                Offset::Offset(offset) => offset,
                _ => -1,
            });
        }
        Ok(offsets)
    }

    /// What this looker's group has committed for some partitions of topics, in order; `None` where
    /// it has never committed anything.
    pub(super) fn books(&self, places: &[(String, i32)]) -> Result<Vec<Option<Book>>, BusError> {
        read_books(&self.consumer, places, self.timeout)
    }

    /// Commits for a group that has no members.
    pub(super) fn commit(&self, list: &TopicPartitionList) -> KafkaResult<()> {
        self.consumer
            .commit(list, rdkafka::consumer::CommitMode::Sync)
    }

    /// How many members this looker's group has.
    pub(super) fn members(&self, group: &str) -> Result<usize, BusError> {
        let groups = self.consumer.fetch_group_list(Some(group), self.timeout);
        let groups = groups.map_err(|error| failed("asking for a group", &error))?;
        Ok(groups
            .groups()
            .iter()
            .map(|group| group.members().len())
            .sum())
    }

    /// Visits the records of spans, those of a partition in order, until the visitor has enough of it.
    pub(super) fn scan(
        &self,
        topic: &str,
        spans: &[Span],
        mut visit: impl FnMut(&BorrowedMessage<'_>) -> Visit,
    ) -> Result<(), BusError> {
        let what = "reading records";
        let mut open: Vec<Span> = spans.iter().copied().filter(|s| s.from < s.to).collect();
        if open.is_empty() {
            return Ok(());
        }
        let starts = open.iter().map(|s| (s.partition, Offset::Offset(s.from)));
        let list = list_of(topic, starts).map_err(|error| failed(what, &error))?;
        let reading = locked(&self.reading);
        self.consumer
            .assign(&list)
            .map_err(|error| failed(what, &error))?;
        let mut deadline = Instant::now() + self.timeout;
        let mut result = Ok(());
        while !open.is_empty() {
            match self.consumer.poll(WAIT) {
                Some(Ok(record)) => {
                    deadline = Instant::now() + self.timeout;
                    let (partition, offset) = (record.partition(), record.offset());
                    let wanted = |span: &Span| span.partition == partition && offset < span.to;
                    let enough = open.iter().any(wanted) && visit(&record) == Visit::Enough;
                    open.retain(|span| {
                        span.partition != partition || (offset + 1 < span.to && !enough)
                    });
                }
                Some(Err(KafkaError::PartitionEOF(partition))) => {
                    open.retain(|span| span.partition != partition);
                }
                Some(Err(error)) if is_passing(&error) && Instant::now() < deadline => {}
                Some(Err(error)) => {
                    result = Err(failed(what, &error));
                    break;
                }
                None if Instant::now() < deadline => {}
                None => {
                    result = Err(down(&"no records came"));
                    break;
                }
            }
        }
        let left = self.consumer.unassign();
        drop(reading);
        result.and(left.map_err(|error| failed(what, &error)))
    }
}

/// Whether librdkafka goes on by itself after an error.
pub(super) fn is_passing(error: &KafkaError) -> bool {
    matches!(
        error.rdkafka_error_code(),
        Some(
            RDKafkaErrorCode::BrokerTransportFailure
                | RDKafkaErrorCode::AllBrokersDown
                | RDKafkaErrorCode::OperationTimedOut
                | RDKafkaErrorCode::Resolve
                | RDKafkaErrorCode::UnknownTopicOrPartition
                | RDKafkaErrorCode::LeaderNotAvailable
                | RDKafkaErrorCode::NotLeaderForPartition
                | RDKafkaErrorCode::UnknownPartition
                | RDKafkaErrorCode::FencedLeaderEpoch
                | RDKafkaErrorCode::UnknownLeaderEpoch
        )
    )
}

/// Partitions of a topic with their offsets.
pub(super) fn list_of(
    topic: &str,
    offsets: impl IntoIterator<Item = (i32, Offset)>,
) -> KafkaResult<TopicPartitionList> {
    let mut list = TopicPartitionList::new();
    for (partition, offset) in offsets {
        list.add_partition_offset(topic, partition, offset)?;
    }
    Ok(list)
}

/// Adds a partition with what is to be committed for it.
pub(super) fn add_book(
    list: &mut TopicPartitionList,
    (topic, partition): (&str, i32),
    book: &Book,
) -> KafkaResult<()> {
    let mut element = list.add_partition(topic, partition);
    element.set_offset(Offset::Offset(book.floor()))?;
    element.set_metadata(book.encode());
    Ok(())
}

/// What the group of a consumer has committed.
pub(super) fn read_books<C: rdkafka::consumer::ConsumerContext>(
    consumer: &BaseConsumer<C>,
    places: &[(String, i32)],
    timeout: Duration,
) -> Result<Vec<Option<Book>>, BusError> {
    let what = "asking for committed offsets";
    let mut list = TopicPartitionList::with_capacity(places.len());
    for (topic, partition) in places {
        list.add_partition(topic, *partition);
    }
    let found = consumer.committed_offsets(list, timeout);
    let found = found.map_err(|error| failed(what, &error))?;
    let mut books = Vec::with_capacity(places.len());
    for (topic, partition) in places {
        let Some(element) = found.find_partition(topic, *partition) else {
            books.push(None);
            continue;
        };
        element.error().map_err(|error| failed(what, &error))?;
        books.push(match element.offset() {
            Offset::Offset(offset) => Some(Book::decode(offset, element.metadata())),
            _ => None,
        });
    }
    Ok(books)
}
