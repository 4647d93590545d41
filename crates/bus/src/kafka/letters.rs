//! Dead letters: `<topic>.dlq` has one partition. A letter is there until a record without a value
//! comes under its key; how many left in which way is a record under a key of its own, written in
//! the transaction that removes them. Compaction removes what is no more.

mod deciding;
mod index;
mod late;

use common::topics::{DEAD_LETTER_SUFFIX, TopicInfo};
use rdkafka::Message as _;

pub(super) use self::deciding::{Decision, Verdict, decide, expire};
pub(super) use self::index::{Index, Indexes};
pub(super) use self::late::give_up;
use super::client::{Core, locked};
use super::looker::{LOOKER, Span, Visit};
use super::place::Place;
use super::range::stored;
use crate::delivery::StoredMessage;
use crate::error::BusError;
use crate::message_id::MessageId;
use crate::overview::TopicOverview;

/// Letters of which the offsets are looked up at once: between them may be what is no more.
const SCANNED: usize = 1_000;

/// Whether a stream has letters.
pub(super) fn are_in(stream: &str) -> bool {
    stream.ends_with(DEAD_LETTER_SUFFIX)
}

/// Adds what is known of the letters of a topic.
pub(super) fn count(
    core: &Core,
    topic: &TopicInfo,
    overview: &mut TopicOverview,
) -> Result<(), BusError> {
    let index = core.letters.of(&topic.dead_letters());
    let mut index = locked(&index);
    index.refresh(core, &topic.dead_letters())?;
    overview.dead_letters = u64::try_from(index.live.len()).unwrap_or(u64::MAX);
    overview.redriven = index.counts.redriven;
    overview.discarded = index.counts.discarded;
    overview.expired = index.counts.expired;
    overview.late = index.counts.late;
    Ok(())
}

/// Letters in order, from an id on.
pub(super) fn forwards(
    core: &Core,
    stream: &str,
    from: MessageId,
    count: usize,
) -> Result<Vec<StoredMessage>, BusError> {
    let index = core.letters.of(stream);
    let mut index = locked(&index);
    index.refresh(core, stream)?;
    let live = index.live.iter().map(|(offset, letter)| (*offset, letter));
    let wanted = live.filter(|(offset, letter)| id(*offset, letter.at_ms) >= from);
    let offsets: Vec<i64> = wanted.map(|(offset, _)| offset).take(count).collect();
    read(core, stream, &offsets)
}

/// Letters, the newest first, from an id down.
pub(super) fn backwards(
    core: &Core,
    stream: &str,
    from: MessageId,
    count: usize,
) -> Result<Vec<StoredMessage>, BusError> {
    let index = core.letters.of(stream);
    let mut index = locked(&index);
    index.refresh(core, stream)?;
    let live = index.live.iter().rev();
    let wanted = live.filter(|(offset, letter)| id(**offset, letter.at_ms) <= from);
    let mut offsets: Vec<i64> = wanted.map(|(offset, _)| *offset).take(count).collect();
    offsets.reverse();
    let mut letters = read(core, stream, &offsets)?;
    letters.reverse();
    Ok(letters)
}

fn id(offset: i64, at_ms: i64) -> MessageId {
    let partition = 0;
    Place { partition, offset }.id(at_ms)
}

/// The letters at these offsets, which are in order.
fn read(core: &Core, stream: &str, offsets: &[i64]) -> Result<Vec<StoredMessage>, BusError> {
    let (looker, name) = (core.looker(LOOKER)?, core.settings.topic_name(stream));
    let mut letters = Vec::with_capacity(offsets.len());
    for chunk in offsets.chunks(SCANNED) {
        let (Some(first), Some(last)) = (chunk.first(), chunk.last()) else {
            continue;
        };
        let span = Span {
            partition: 0,
            from: *first,
            to: last.saturating_add(1),
        };
        looker.scan(&name, &[span], |record| {
            if chunk.binary_search(&record.offset()).is_ok() {
                letters.push(stored(record));
            }
            Visit::On
        })?;
    }
    Ok(letters)
}
