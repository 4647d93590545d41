//! How feedback looks as JSON, to programs that ask about it.

use serde::ser::SerializeMap as _;
use serde::{Serialize, Serializer};

use super::batches::{BatchOverview, BatchState, BatchesOverview};
use super::item::FeedbackDocument;

impl BatchState {
    /// Its name in answers.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Flushing => "flushing",
            Self::Waiting => "waiting",
        }
    }
}

/// `agentId`, `state`, `size` (items), `bytes`, `ageMs`, `createdAt`, `lastItemAt`, `urgent`,
/// `attempts`.
impl Serialize for BatchOverview {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let age_ms = u64::try_from(self.age.as_millis()).unwrap_or(u64::MAX);
        let mut map = serializer.serialize_map(Some(9))?;
        map.serialize_entry("agentId", &self.agent_id)?;
        map.serialize_entry("state", self.state.as_str())?;
        map.serialize_entry("size", &self.items)?;
        map.serialize_entry("bytes", &self.bytes)?;
        map.serialize_entry("ageMs", &age_ms)?;
        map.serialize_entry("createdAt", &self.created_at.to_string())?;
        map.serialize_entry("lastItemAt", &self.last_item_at.to_string())?;
        map.serialize_entry("urgent", &self.urgent)?;
        map.serialize_entry("attempts", &self.attempts)?;
        map.end()
    }
}

/// `totalBatches`, `totalItems`, `batches`.
impl Serialize for BatchesOverview {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(3))?;
        map.serialize_entry("totalBatches", &self.total_batches)?;
        map.serialize_entry("totalItems", &self.total_items)?;
        map.serialize_entry("batches", &self.batches)?;
        map.end()
    }
}

/// The fields as messages have them; those that are absent are left out. Fields that the sender
/// added are in `extra`.
impl Serialize for FeedbackDocument {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("feedbackId", &self.feedback_id)?;
        map.serialize_entry("agentId", &self.agent_id)?;
        map.serialize_entry("kind", self.kind.as_str())?;
        map.serialize_entry("roomId", &self.room_id)?;
        map.serialize_entry("messageId", &self.message_id)?;
        map.serialize_entry("userId", &self.user_id)?;
        for (name, value) in [
            ("text", &self.text),
            ("rating", &self.rating),
            ("reaction", &self.reaction),
        ] {
            if let Some(value) = value {
                map.serialize_entry(name, value)?;
            }
        }
        map.serialize_entry("createdAt", &self.created_at.to_string())?;
        if !self.extra.is_empty() {
            map.serialize_entry("extra", &Extra(&self.extra))?;
        }
        map.end()
    }
}

struct Extra<'a>(&'a [(String, String)]);

impl Serialize for Extra<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(name, value)| (name, value)))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use common::messages::FeedbackKind;
    use common::{AgentId, UnixMillis};
    use serde_json::json;

    use super::*;

    #[test]
    fn batches_and_documents_are_shown_in_the_words_of_the_messages() {
        let agent_id = AgentId::new("123").expect("valid");
        let batch = BatchOverview {
            agent_id: agent_id.clone(),
            state: BatchState::Waiting,
            items: 7,
            bytes: 900,
            created_at: UnixMillis(0),
            last_item_at: UnixMillis(1_500),
            age: Duration::from_millis(2_500),
            urgent: true,
            attempts: 3,
        };
        let all = BatchesOverview {
            total_batches: 9,
            total_items: 70,
            batches: vec![batch],
        };
        let expected = json!({"totalBatches": 9, "totalItems": 70, "batches": [{
            "agentId": "123", "state": "waiting", "size": 7, "bytes": 900, "ageMs": 2500,
            "createdAt": "1970-01-01T00:00:00.000Z", "lastItemAt": "1970-01-01T00:00:01.500Z",
            "urgent": true, "attempts": 3,
        }]});
        assert_eq!(serde_json::to_value(&all).expect("json"), expected);

        let document = FeedbackDocument {
            feedback_id: "f".to_owned(),
            agent_id,
            kind: FeedbackKind::Reply,
            room_id: "r".to_owned(),
            message_id: "m".to_owned(),
            user_id: "u".to_owned(),
            text: Some("t".to_owned()),
            rating: None,
            reaction: None,
            created_at: UnixMillis(0),
            extra: vec![("lang".to_owned(), "en".to_owned())],
        };
        let expected = json!({
            "feedbackId": "f", "agentId": "123", "kind": "reply", "roomId": "r", "messageId": "m",
            "userId": "u", "text": "t", "createdAt": "1970-01-01T00:00:00.000Z",
            "extra": {"lang": "en"},
        });
        assert_eq!(serde_json::to_value(&document).expect("json"), expected);
    }
}
