//! What is delivered and not settled, with what is known of it. Everything here blocks.

use std::time::Duration;

use common::UnixMillis;
use common::topics::TopicInfo;
use rdkafka::Message as _;

use super::book::{Book, State};
use super::client::{Core, now_ms};
use super::ledger::Ledger;
use super::looker::{LOOKER, Span, Visit};
use super::member::Failure;
use super::range::id_of;
use super::topics::retry_topic;
use crate::error::BusError;
use crate::message_id::MessageId;
use crate::operating::PendingMessage;

/// Pending messages after an id, in order.
pub(super) fn find(
    core: &Core,
    topic: &TopicInfo,
    group: &str,
    (after, count): (MessageId, usize),
) -> Result<Vec<PendingMessage>, BusError> {
    let Some(ledger) = Ledger::read(core, topic, group)? else {
        return Ok(Vec::new());
    };
    let mut found = Vec::new();
    let main: Vec<&Book> = ledger.pages.iter().map(|page| &page.main).collect();
    visit(core, topic.name, &main, |book, record| {
        if let State::Delivered(deliveries) = book.state(record.offset()) {
            found.push(held(id_of(record), book, deliveries));
        }
    })?;
    let retries: Vec<&Book> = ledger.pages.iter().map(|page| &page.retry).collect();
    visit(
        core,
        &retry_topic(topic.name, group),
        &retries,
        |book, record| {
            let Some((id, failure)) = Failure::of(record) else {
                return;
            };
            let first = UnixMillis(failure.first_failed_ms).to_string();
            let known = match book.state(record.offset()) {
                State::Settled => return,
                State::Delivered(times) if times > 0 => {
                    held(id, book, failure.deliveries.saturating_add(times))
                }
                State::Delivered(_) | State::Untouched => PendingMessage {
                    consumer: None,
                    idle: since(record.timestamp().to_millis().unwrap_or_default()),
                    ..held(id, book, failure.deliveries)
                },
            };
            found.push(PendingMessage {
                first_failed_at: Some(first),
                last_failure: Some(failure.last),
                ..known
            });
        },
    )?;
    found.retain(|pending| pending.id > after);
    found.sort_by_key(|pending| pending.id);
    found.truncate(count);
    Ok(found)
}

fn held(id: MessageId, book: &Book, deliveries: u32) -> PendingMessage {
    PendingMessage {
        id,
        consumer: Some(book.holder.clone()),
        idle: since(book.since_ms),
        deliveries,
        first_failed_at: None,
        last_failure: None,
    }
}

fn since(at_ms: i64) -> Duration {
    let millis = now_ms().saturating_sub(at_ms);
    Duration::from_millis(u64::try_from(millis).unwrap_or(0))
}

/// Visits the records from the floor of each book on, as far as there may be open ones.
fn visit(
    core: &Core,
    topic: &str,
    books: &[&Book],
    mut look: impl FnMut(&Book, &rdkafka::message::BorrowedMessage<'_>),
) -> Result<(), BusError> {
    let Some(partitions) = core.partitions(topic)? else {
        return Ok(());
    };
    let (looker, name) = (core.looker(LOOKER)?, core.settings.topic_name(topic));
    let retries = topic.ends_with(super::topics::RETRY_SUFFIX);
    let spans: Vec<Span> = looker
        .spans(&name, partitions)?
        .into_iter()
        .zip(books)
        .map(|(span, book)| Span {
            from: span.from.max(book.floor()),
            to: if retries {
                span.to
            } else {
                span.to.min(book.end())
            },
            ..span
        })
        .collect();
    looker.scan(&name, &spans, |record| {
        let book = usize::try_from(record.partition()).ok();
        if let Some(book) = book.and_then(|number| books.get(number)) {
            look(book, record);
        }
        Visit::On
    })
}
