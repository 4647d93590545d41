//! Finding the messages about an event.

use std::fmt;

use bus::{Bus, BusError, DeadLetter, MessageId, StoredMessage};
use common::EventId;
use common::topics::TopicInfo;
use serde::Serialize;

use crate::bounded_lines::count;
use crate::event_id::event_id_of;
use crate::output::grouped;

/// Messages that are read at once.
const PAGE: usize = 500;
/// Messages about one event in one stream; more is no event's life but somebody's mistake.
const FOUND_MAX: usize = 50;

/// What a topic and its dead letters have of an event, oldest first.
#[derive(Debug)]
pub(super) struct Search {
    pub(super) topic: TopicInfo,
    pub(super) messages: Vec<StoredMessage>,
    pub(super) letters: Vec<DeadLetter>,
    pub(super) extent: [Extent; 2],
}

/// How much of a stream was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Extent {
    pub(super) stream: String,
    pub(super) searched: u64,
    /// Whether that was all that is there.
    pub(super) complete: bool,
    /// Messages that were there once.
    pub(super) trimmed: u64,
}

impl Extent {
    /// Whether there ever was such a stream.
    pub(super) fn is_known(&self) -> bool {
        self.searched > 0 || self.trimmed > 0
    }
}

impl fmt::Display for Extent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            stream, searched, ..
        } = self;
        let all = if self.complete { "all " } else { "the newest " };
        write!(
            f,
            "searched {all}{} messages of {stream}",
            grouped(*searched)
        )?;
        if !self.complete {
            f.write_str(", --search-max searches more")?;
        }
        if self.trimmed > 0 {
            write!(f, "; {} older ones are gone", grouped(self.trimmed))?;
        }
        Ok(())
    }
}

/// Searches a topic and its dead letters from the newest message back.
pub(super) async fn search(
    bus: &Bus,
    topic: TopicInfo,
    event_id: EventId,
    most: usize,
) -> Result<Search, BusError> {
    let (messages, mut searched) = search_stream(bus, topic.name, event_id, most).await?;
    let letters_stream = topic.dead_letters();
    let (letters, mut searched_letters) =
        search_stream(bus, &letters_stream, event_id, most).await?;
    // After the search, so that what is published meanwhile is not taken for trimmed.
    let overview = bus.overview(&topic).await?;
    searched.trimmed = overview.published.saturating_sub(overview.length);
    searched_letters.trimmed = overview.redriven + overview.discarded + overview.expired;
    let mut letters: Vec<DeadLetter> = letters.into_iter().map(DeadLetter::from).collect();
    // Those of one message side by side.
    letters.sort_by_key(|letter| letter.source_id);
    Ok(Search {
        topic,
        messages,
        letters,
        extent: [searched, searched_letters],
    })
}

async fn search_stream(
    bus: &Bus,
    stream: &str,
    event_id: EventId,
    most: usize,
) -> Result<(Vec<StoredMessage>, Extent), BusError> {
    let mut found = Vec::new();
    let (mut from, mut searched) = (MessageId::MAX, 0);
    let complete = loop {
        let wanted = PAGE.min(most - searched);
        if wanted == 0 {
            break bus.range_back(stream, from, 1).await?.is_empty();
        }
        let page = bus.range_back(stream, from, wanted).await?;
        searched += page.len();
        let is_last = page.len() < wanted;
        if let Some(oldest) = page.last() {
            from = oldest.id.previous();
        }
        let about = |message: &StoredMessage| {
            event_id_of(&message.fields).is_some_and(|it| it == event_id.0)
        };
        let room = FOUND_MAX - found.len();
        found.extend(page.into_iter().filter(about).take(room));
        if is_last {
            break true;
        }
    };
    found.reverse();
    let extent = Extent {
        stream: stream.to_owned(),
        searched: count(searched),
        complete,
        trimmed: 0,
    };
    Ok((found, extent))
}
