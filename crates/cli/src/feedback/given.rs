//! Feedback as a line of JSON gives it.

use common::messages::{FeedbackReaction, FeedbackReply};
use common::{Message, RawFields, UnixMillis};
use serde_json::{Map, Value};

/// The field whose value says which kind it is. Without it a line with a reaction is a reaction.
const KIND: &str = "kind";
const REACTION: &str = "reaction";
const CREATED_AT: &str = "createdAt";

/// One piece of feedback.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Given {
    /// A written answer.
    Reply(FeedbackReply),
    /// A reaction.
    Reaction(FeedbackReaction),
}

impl Given {
    /// Reads an object with the fields of a message. What is no text is kept as it is written; what
    /// has no time is given now.
    pub(super) fn of_json(line: &[u8], now: UnixMillis) -> Result<Self, String> {
        let object: Map<String, Value> =
            serde_json::from_slice(line).map_err(|error| format!("no JSON object: {error}"))?;
        let kind = object.get(KIND).and_then(Value::as_str);
        let is_reaction = match kind {
            Some(kind) => kind == REACTION,
            None => object.contains_key(REACTION),
        };
        let mut fields: Vec<(String, String)> = object
            .into_iter()
            .filter(|(name, value)| name != KIND && !value.is_null())
            .map(|(name, value)| (name, text_of(value)))
            .collect();
        if !fields.iter().any(|(name, _)| name == CREATED_AT) {
            fields.push((CREATED_AT.to_owned(), now.to_string()));
        }
        Self::of_fields(is_reaction, fields)
    }

    /// Reads the fields of a message.
    pub(super) fn of_fields(
        is_reaction: bool,
        fields: Vec<(String, String)>,
    ) -> Result<Self, String> {
        let bytes = |(name, value): (String, String)| (name.into_bytes(), value.into_bytes());
        let fields = RawFields(fields.into_iter().map(bytes).collect());
        let given = if is_reaction {
            FeedbackReaction::decode(fields).map(Self::Reaction)
        } else {
            FeedbackReply::decode(fields).map(Self::Reply)
        };
        given.map_err(|error| error.to_string())
    }
}

fn text_of(value: Value) -> String {
    match value {
        Value::String(text) => text,
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: UnixMillis = UnixMillis(0);

    #[test]
    fn a_line_is_a_reply_or_a_reaction_by_its_kind_or_by_its_fields() {
        let reply = r#"{"agentId":7,"roomId":"r","messageId":"m","userId":"u","text":"hi",
            "rating":2,"lang":"en","tags":["a"],"none":null}"#;
        let Ok(Given::Reply(reply)) = Given::of_json(reply.as_bytes(), NOW) else {
            panic!("no reply");
        };
        assert_eq!(
            (reply.agent_id.as_str(), reply.rating.as_deref()),
            ("7", Some("2"))
        );
        assert_eq!(reply.created_at, NOW);
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(reply.extra, [pair("lang", "en"), pair("tags", r#"["a"]"#)]);

        let reaction =
            br#"{"agentId":"7","roomId":"r","messageId":"m","userId":"u","reaction":"+1",
            "createdAt":"2026-01-01T00:00:00Z"}"#;
        let Ok(Given::Reaction(reaction)) = Given::of_json(reaction, NOW) else {
            panic!("no reaction");
        };
        assert_eq!(reaction.created_at.to_string(), "2026-01-01T00:00:00.000Z");
    }

    #[test]
    fn a_line_that_is_none_says_why() {
        for (line, expected) in [
            ("[]", "no JSON object"),
            ("{}", "field agentId is missing"),
            (r#"{"kind":"reaction","agentId":"1"}"#, "is missing"),
            (
                r#"{"agentId":"1","roomId":"","messageId":"","userId":"","text":"","createdAt":"no"}"#,
                "createdAt is not an RFC 3339",
            ),
        ] {
            let error = Given::of_json(line.as_bytes(), NOW).expect_err("no feedback");
            assert!(error.contains(expected), "{line}: {error}");
        }
    }
}
