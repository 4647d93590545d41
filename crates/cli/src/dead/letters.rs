//! Reading dead letters, and showing them.

use anyhow::Context as _;
use bus::{Bus, DeadLetter, MessageId};
use common::topics::TopicInfo;
use serde::Serialize;
use serde_json::{Map, Value};

/// Letters that are read at once; a letter may be large.
pub(super) const PAGE: usize = 100;

/// A letter as JSON.
#[derive(Debug, Serialize)]
pub(super) struct LetterLine<'a> {
    topic: &'a str,
    id: String,
    source_id: Option<String>,
    group: &'a str,
    reason: &'a str,
    error: &'a str,
    attempts: u32,
    first_failed_at: &'a str,
    failed_at: &'a str,
    worker: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    part: Option<&'a str>,
    /// The message as it was.
    #[serde(skip_serializing_if = "Option::is_none")]
    fields: Option<Map<String, Value>>,
}

impl<'a> LetterLine<'a> {
    pub(super) fn of(topic: &'a TopicInfo, letter: &'a DeadLetter) -> Self {
        Self {
            topic: topic.name,
            id: letter.id.to_string(),
            source_id: letter.source_id.map(|id| id.to_string()),
            group: &letter.group,
            reason: &letter.reason,
            error: &letter.error,
            attempts: letter.attempts,
            first_failed_at: &letter.first_failed_at,
            failed_at: &letter.failed_at,
            worker: &letter.worker,
            part: letter.part.as_deref(),
            fields: None,
        }
    }

    /// With the message itself.
    pub(super) fn with_fields(self, letter: &DeadLetter) -> Self {
        let fields = texts(letter).map(|(name, value)| (name, Value::from(value)));
        Self {
            fields: Some(fields.collect()),
            ..self
        }
    }
}

/// The fields of the message; bytes that are no text are shown as such.
pub(super) fn texts(letter: &DeadLetter) -> impl Iterator<Item = (String, String)> {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let fields = letter.fields.0.iter();
    fields.map(move |(name, value)| (text(name), text(value)))
}

/// Reads the letters of a topic in order, those of one reason if it is given.
pub(super) struct Letters<'a> {
    bus: &'a Bus,
    topic: &'a TopicInfo,
    reason: Option<&'a str>,
    from: MessageId,
    last: MessageId,
}

impl<'a> Letters<'a> {
    /// All that are there now. What is added meanwhile is not read: a letter that is sent again and
    /// given up again would come again for ever.
    pub(super) async fn of(
        bus: &'a Bus,
        topic: &'a TopicInfo,
        reason: Option<&'a str>,
    ) -> anyhow::Result<Self> {
        let stream = topic.dead_letters();
        let newest = bus.range_back(&stream, MessageId::MAX, 1).await;
        let newest = newest.with_context(|| reading(topic))?;
        Ok(Self {
            bus,
            topic,
            reason,
            from: MessageId::ZERO,
            last: newest.first().map_or(MessageId::ZERO, |letter| letter.id),
        })
    }

    /// The next page, which may hold none of that reason; `None` at the end.
    pub(super) async fn next(&mut self) -> anyhow::Result<Option<Vec<DeadLetter>>> {
        if self.from > self.last {
            return Ok(None);
        }
        let page = self.bus.dead_letters(self.topic, self.from, PAGE).await;
        let mut page = page.with_context(|| reading(self.topic))?;
        let Some(last) = page.last() else {
            return Ok(None);
        };
        self.from = last.id.next();
        let reason = self.reason;
        page.retain(|letter| {
            letter.id <= self.last && reason.is_none_or(|reason| letter.reason == reason)
        });
        Ok(Some(page))
    }
}

fn reading(topic: &TopicInfo) -> String {
    format!("reading the dead letters of {}", topic.name)
}
