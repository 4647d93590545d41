//! What requests name: streams, ids, and how much they want.

use bus::{Bus, BusError, MessageId, StoredMessage};
use common::topics::{self, DEAD_LETTER_SUFFIX, TopicInfo};
use worker::http::Problem;

use crate::fields;
use crate::problems::{bad_request, not_found};

/// Messages that are shown when nobody says how many.
const COUNT_DEFAULT: usize = 10;
/// Messages in an answer at most.
const COUNT_MAX: usize = 100;
/// Bytes of messages after which an answer ends early.
const BYTES_MAX: usize = 4 * 1024 * 1024;
/// Messages that are read at once: any of them may be large.
const STEP: usize = 20;

/// The topic of that name.
pub(crate) fn topic(name: &str) -> Result<&'static TopicInfo, Problem> {
    topics::find(name).ok_or_else(|| {
        let known: Vec<&str> = topics::ALL.iter().map(|topic| topic.name).collect();
        let known = known.join(", ");
        not_found(
            "unknown_stream",
            format!("there is no stream {name}; there are {known}"),
        )
    })
}

/// The name, if it is of a topic or of its dead letters.
pub(crate) fn stream(name: &str) -> Result<&str, Problem> {
    topic(name.strip_suffix(DEAD_LETTER_SUFFIX).unwrap_or(name))?;
    Ok(name)
}

/// A message id; milliseconds alone are the first id of theirs, and nothing is before all.
pub(crate) fn message_id(name: &str, text: Option<&str>) -> Result<MessageId, Problem> {
    let text = text.unwrap_or("0");
    let id = match text.parse::<u64>() {
        Ok(major) => Some(MessageId { major, minor: 0 }),
        Err(_) => text.parse().ok(),
    };
    id.ok_or_else(|| {
        let detail = format!("{name} is not a message id of the form 1732104000000-0");
        bad_request("invalid_message_id", detail)
    })
}

/// How many messages to show.
pub(crate) fn count(wanted: Option<usize>) -> usize {
    wanted.unwrap_or(COUNT_DEFAULT).clamp(1, COUNT_MAX)
}

/// Reads so many messages of a stream, fewer if they are large; gives them and where the next ones
/// begin, if there are any.
pub(crate) async fn page(
    bus: &Bus,
    stream: &str,
    mut from: MessageId,
    count: usize,
) -> Result<(Vec<StoredMessage>, Option<MessageId>), BusError> {
    let (mut messages, mut bytes) = (Vec::new(), 0);
    while messages.len() < count && bytes < BYTES_MAX {
        let found = bus
            .range(stream, from, STEP.min(count - messages.len()))
            .await?;
        let Some(last) = found.last() else {
            return Ok((messages, None));
        };
        from = last.id.next();
        bytes += found
            .iter()
            .map(|message| fields::size(&message.fields))
            .sum::<usize>();
        messages.extend(found);
    }
    let next = bus.range(stream, from, 1).await?;
    Ok((messages, next.first().map(|message| message.id)))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use bus::{Once, OnceRule};
    use common::RawFields;
    use worker::SystemClock;

    use super::*;

    #[test]
    fn ids_are_whole_or_milliseconds_or_nothing() {
        let id = |major, minor| Some(MessageId { major, minor });
        for (text, expected) in [
            (None, id(0, 0)),
            (Some("0"), id(0, 0)),
            (Some("1732104000000"), id(1_732_104_000_000, 0)),
            (Some("1732104000000-7"), id(1_732_104_000_000, 7)),
            (Some(""), None),
            (Some("-1"), None),
            (Some("1-"), None),
            (Some("yesterday"), None),
            (Some("18446744073709551616"), None),
        ] {
            assert_eq!(message_id("startId", text).ok(), expected, "{text:?}");
        }
    }

    #[tokio::test]
    async fn a_page_ends_where_the_messages_get_too_large_and_says_where_to_go_on() {
        let bus = Bus::in_memory(Arc::new(SystemClock));
        let topic = topics::ALL.first().expect("a topic");
        for number in 0..50 {
            let claim = Once {
                key: number.to_string(),
                claimant: "test",
                window: Duration::from_hours(1),
                rule: OnceRule::Unclaimed,
            };
            let large = vec![b'x'; BYTES_MAX / 30];
            let fields = RawFields(vec![(b"a".to_vec(), large)]);
            let published = bus.publish_fields_once(topic, &[fields], &[claim]).await;
            assert_eq!(published.expect("published").len(), 1);
        }
        let mut from = MessageId::ZERO;
        for (count, expected, more) in [(5, 5, true), (45, 40, true), (45, 5, false)] {
            let page = page(&bus, topic.name, from, count).await;
            let (messages, next) = page.expect("a page");
            assert_eq!((messages.len(), next.is_some()), (expected, more));
            from = next.unwrap_or(from);
        }
    }
}
