//! An item as it waits in a list: one JSON object.

use std::borrow::Cow;
use std::fmt;

use common::messages::FeedbackKind;
use common::{AgentId, UnixMillis};
use serde::de::{Error as _, MapAccess, Visitor};
use serde::ser::SerializeMap as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::item::{FeedbackDocument, FeedbackItem, ItemOrigin};

/// From here to there a moment has a text that can be read back; others are kept as numbers.
const WITH_TEXT: std::ops::RangeInclusive<i64> = -62_167_219_200_000..=253_402_207_200_000;

/// The JSON object of an item. Its time is ISO 8601 in UTC.
pub(super) fn write(item: &FeedbackItem) -> Result<Vec<u8>, serde_json::Error> {
    let document = &item.document;
    let element = Element {
        feedback_id: Cow::Borrowed(&document.feedback_id),
        agent_id: Cow::Borrowed(document.agent_id.as_str()),
        kind: Cow::Borrowed(document.kind.as_str()),
        room_id: Cow::Borrowed(&document.room_id),
        message_id: Cow::Borrowed(&document.message_id),
        user_id: Cow::Borrowed(&document.user_id),
        text: document.text.as_deref().map(Cow::Borrowed),
        rating: document.rating.as_deref().map(Cow::Borrowed),
        reaction: document.reaction.as_deref().map(Cow::Borrowed),
        created_at: Moment(document.created_at),
        extra: Pairs(Cow::Borrowed(&document.extra)),
        urgent: item.urgent,
        origin: Origin {
            stream: Cow::Borrowed(&item.origin.stream),
            id: Cow::Borrowed(&item.origin.id),
            attempts: item.origin.attempts,
        },
    };
    serde_json::to_vec(&element)
}

/// The item of a JSON object. One that another program wrote may lack `origin`: then it comes from
/// a stream without a name.
pub(super) fn read(json: &[u8]) -> Option<FeedbackItem> {
    let element: Element<'_> = serde_json::from_slice(json).ok()?;
    let kinds = [FeedbackKind::Reply, FeedbackKind::Reaction];
    let kind = kinds.into_iter().find(|kind| kind.as_str() == element.kind);
    let owned = |text: Option<Cow<'_, str>>| text.map(Cow::into_owned);
    Some(FeedbackItem {
        document: FeedbackDocument {
            feedback_id: element.feedback_id.into_owned(),
            agent_id: AgentId::new(element.agent_id).ok()?,
            kind: kind?,
            room_id: element.room_id.into_owned(),
            message_id: element.message_id.into_owned(),
            user_id: element.user_id.into_owned(),
            text: owned(element.text),
            rating: owned(element.rating),
            reaction: owned(element.reaction),
            created_at: element.created_at.0,
            extra: element.extra.0.into_owned(),
        },
        urgent: element.urgent,
        origin: ItemOrigin {
            stream: element.origin.stream.into_owned(),
            id: element.origin.id.into_owned(),
            attempts: element.origin.attempts,
        },
    })
}

// A field of another program would be lost if it were ignored.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Element<'a> {
    feedback_id: Cow<'a, str>,
    agent_id: Cow<'a, str>,
    kind: Cow<'a, str>,
    room_id: Cow<'a, str>,
    message_id: Cow<'a, str>,
    user_id: Cow<'a, str>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    text: Option<Cow<'a, str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    rating: Option<Cow<'a, str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    reaction: Option<Cow<'a, str>>,
    created_at: Moment,
    #[serde(default, skip_serializing_if = "Pairs::is_empty")]
    extra: Pairs<'a>,
    #[serde(default, skip_serializing_if = "is_not")]
    urgent: bool,
    #[serde(default)]
    origin: Origin<'a>,
}

#[derive(Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Origin<'a> {
    stream: Cow<'a, str>,
    id: Cow<'a, str>,
    attempts: u32,
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde calls it with a reference"
)]
fn is_not(flag: &bool) -> bool {
    !*flag
}

struct Moment(UnixMillis);

impl Serialize for Moment {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if WITH_TEXT.contains(&self.0.0) {
            return serializer.collect_str(&self.0);
        }
        serializer.serialize_i64(self.0.0)
    }
}

impl<'de> Deserialize<'de> for Moment {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Written {
            Text(String),
            Millis(i64),
        }
        match Written::deserialize(deserializer)? {
            Written::Text(text) => text.parse().map(Self).map_err(D::Error::custom),
            Written::Millis(millis) => Ok(Self(UnixMillis(millis))),
        }
    }
}

/// An object whose fields keep their order, and are kept when two have the same name.
#[derive(Default)]
struct Pairs<'a>(Cow<'a, [(String, String)]>);

impl Pairs<'_> {
    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Serialize for Pairs<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (name, value) in self.0.iter() {
            map.serialize_entry(name, value)?;
        }
        map.end()
    }
}

impl<'de> Deserialize<'de> for Pairs<'_> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(PairsVisitor)
    }
}

struct PairsVisitor;

impl<'de> Visitor<'de> for PairsVisitor {
    type Value = Pairs<'static>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of texts")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut pairs = Vec::new();
        while let Some(pair) = map.next_entry()? {
            pairs.push(pair);
        }
        Ok(Pairs(Cow::Owned(pairs)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item() -> FeedbackItem {
        FeedbackItem {
            document: FeedbackDocument {
                feedback_id: "f-1".to_owned(),
                agent_id: AgentId::new("123").expect("valid"),
                kind: FeedbackKind::Reply,
                room_id: "r".to_owned(),
                message_id: "m".to_owned(),
                user_id: "u \"\u{e9}\"".to_owned(),
                text: Some("well\ndone".to_owned()),
                rating: None,
                reaction: None,
                created_at: UnixMillis(1_795_176_000_123),
                extra: Vec::new(),
            },
            urgent: false,
            origin: ItemOrigin {
                stream: "feedback.in".to_owned(),
                id: "1-0".to_owned(),
                attempts: 1,
            },
        }
    }

    #[test]
    fn the_bytes_of_an_item_never_change() {
        let plain = r#"{"feedbackId":"f-1","agentId":"123","kind":"reply","roomId":"r","messageId":"m","userId":"u \"é\"","text":"well\ndone","createdAt":"2026-11-20T12:00:00.123Z","origin":{"stream":"feedback.in","id":"1-0","attempts":1}}"#;
        assert_eq!(
            String::from_utf8(write(&item()).expect("JSON")).as_deref(),
            Ok(plain)
        );
        let mut full = item();
        full.urgent = true;
        full.document.kind = FeedbackKind::Reaction;
        full.document.text = None;
        full.document.rating = Some("5".to_owned());
        full.document.reaction = Some("like".to_owned());
        full.document.extra = ["b", "a", "b"]
            .map(|name| (name.to_owned(), "1".to_owned()))
            .into();
        let text = r#"{"feedbackId":"f-1","agentId":"123","kind":"reaction","roomId":"r","messageId":"m","userId":"u \"é\"","rating":"5","reaction":"like","createdAt":"2026-11-20T12:00:00.123Z","extra":{"b":"1","a":"1","b":"1"},"urgent":true,"origin":{"stream":"feedback.in","id":"1-0","attempts":1}}"#;
        assert_eq!(
            String::from_utf8(write(&full).expect("JSON")).as_deref(),
            Ok(text)
        );
        assert_eq!(read(plain.as_bytes()), Some(item()));
        assert_eq!(read(text.as_bytes()), Some(full));
    }

    #[test]
    fn every_moment_reads_back() {
        let edges = [*WITH_TEXT.start(), *WITH_TEXT.end()];
        let around = edges
            .into_iter()
            .flat_map(|edge| [edge - 1, edge, edge + 1]);
        for millis in around.chain([i64::MIN, -1, 0, i64::MAX]) {
            let mut at = item();
            at.document.created_at = UnixMillis(millis);
            assert_eq!(read(&write(&at).expect("JSON")), Some(at), "{millis}");
        }
    }

    #[test]
    fn what_is_no_item_or_more_than_one_is_not_read() {
        let text = String::from_utf8(write(&item()).expect("JSON")).expect("text");
        for (was, is) in [
            ("\"kind\":\"reply\"", "\"kind\":\"applause\""),
            ("\"agentId\":\"123\"", "\"agentId\":\"\""),
            ("\"roomId\":\"r\",", ""),
            ("\"roomId\":\"r\"", "\"roomId\":\"r\",\"mood\":\"good\""),
            ("2026-11-20T12", "yesterday"),
        ] {
            assert_eq!(read(text.replace(was, is).as_bytes()), None, "{is}");
        }
        let without = text.replace(
            r#","origin":{"stream":"feedback.in","id":"1-0","attempts":1}"#,
            "",
        );
        let origin = read(without.as_bytes()).map(|item| item.origin);
        assert_eq!(origin.map(|origin| origin.stream), Some(String::new()));
    }
}
