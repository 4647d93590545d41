//! Which message caused which.

use bus::MessageId;
use common::topics::{
    self, EventsNormalized, EventsRaw, EventsRejected, MergeRequests, PredictionRequests, TopicInfo,
};
use common::{RawFields, Topic as _};

use super::search::Search;

/// The field of a rejected event that names the group that rejected it.
const REJECTED_BY: &[u8] = b"rejected_by";

/// A message by its topic and its place there.
pub(super) type Place = (&'static str, MessageId);

/// The message that caused another: the last one before it on the topic that its writer reads.
pub(super) fn cause_of(
    topic: &TopicInfo,
    id: MessageId,
    fields: &RawFields,
    searches: &[Search],
) -> Option<Place> {
    let read = source_of(topic, fields)?;
    let search = searches.iter().find(|search| search.topic.name == read)?;
    let mut before = search.messages.iter().filter(|cause| {
        // Within a millisecond the second numbers of different streams say nothing.
        cause.id.major <= id.major
    });
    Some((search.topic.name, before.next_back()?.id))
}

/// The topic that the writer of a message reads.
fn source_of(topic: &TopicInfo, fields: &RawFields) -> Option<&'static str> {
    let name = topic.name;
    if name == EventsNormalized::INFO.name || name == MergeRequests::INFO.name {
        return Some(EventsRaw::INFO.name);
    }
    if name == PredictionRequests::INFO.name {
        return Some(EventsNormalized::INFO.name);
    }
    if name != EventsRejected::INFO.name {
        return None;
    }
    let mut by = fields.0.iter().filter(|(name, _)| name == REJECTED_BY);
    let group = String::from_utf8_lossy(&by.next()?.1);
    let mut readers = topics::ALL.iter();
    let reads = readers.find(|topic| topic.groups.contains(&group.as_ref()))?;
    Some(reads.name)
}
