//! A group is there when it has committed a book for every partition.

use std::sync::Arc;

use rdkafka::TopicPartitionList;
use rdkafka::error::RDKafkaErrorCode;

use super::book::Book;
use super::client::{Core, blocking, failed};
use super::looker::{LOOKER, Span, add_book};
use super::topics::{ensure, ensure_like, retry_topic};
use crate::error::BusError;
use crate::server::Opened;

/// Creates a group where it is missing, and its topics. A topic of retries without a group says that
/// the brokers have lost the group: they forget one that had no members for `offsets.retention.minutes`.
pub(super) async fn open(core: &Arc<Core>, topic: &str, group: &str) -> Result<Opened, BusError> {
    let partitions = ensure(core, topic).await?;
    let retries = retry_topic(topic, group);
    let name = retries.clone();
    let known = blocking(core, move |core| core.partitions(&name)).await?;
    ensure_like(core, &retries, Some(partitions)).await?;
    let (topic, group) = (topic.to_owned(), group.to_owned());
    let was_there = known.is_some();
    blocking(core, move |core| {
        write_missing_books(core, (&topic, &retries), &group, (partitions, was_there))
    })
    .await
}

fn write_missing_books(
    core: &Core,
    (topic, retries): (&str, &str),
    group: &str,
    (partitions, was_there): (i32, bool),
) -> Result<Opened, BusError> {
    let looker = core.looker(group)?;
    let names = [topic, retries].map(|name| core.settings.topic_name(name));
    let places: Vec<(String, i32)> = names
        .iter()
        .flat_map(|name| (0..partitions).map(|partition| (name.clone(), partition)))
        .collect();
    let books = looker.books(&places)?;
    let missing = books.iter().filter(|book| book.is_none()).count();
    if missing == 0 {
        return Ok(Opened::Found);
    }
    // A partition that was added begins as one of a new group does.
    let is_lost = was_there && missing == books.len();
    let what = "creating a group";
    let mut offsets = TopicPartitionList::new();
    for (number, name) in names.iter().enumerate() {
        for span in core.looker(LOOKER)?.spans(name, partitions)? {
            let place = places
                .iter()
                .position(|p| p == &(name.clone(), span.partition));
            let known = place.and_then(|at| books.get(at)).and_then(Option::as_ref);
            if known.is_none() {
                let book = first_book(span, is_lost, number == 0);
                let added = add_book(&mut offsets, (name, span.partition), &book);
                added.map_err(|error| failed(what, &error))?;
            }
        }
    }
    match looker.commit(&offsets) {
        Ok(()) if missing < books.len() => Ok(Opened::Found),
        Ok(()) if is_lost => Ok(Opened::Recreated),
        Ok(()) => Ok(Opened::Created),
        // It has members, for another topic: they know the group, and write what is missing.
        Err(error) if error.rdkafka_error_code() == Some(RDKafkaErrorCode::UnknownMemberId) => {
            Ok(Opened::Found)
        }
        Err(error) => Err(failed(what, &error)),
    }
}

/// The book of a partition that the group has not seen. What a lost group had not settled is still
/// there and comes again, all of it perhaps not for the first time.
pub(super) fn first_book(span: Span, lost: bool, main: bool) -> Book {
    let mut book = Book::at(span.from);
    if main {
        book.uncounted = lost || span.from > 0;
        book.repeat_until = if lost { span.to } else { 0 };
        book.recreated = u64::from(lost);
    }
    book
}
