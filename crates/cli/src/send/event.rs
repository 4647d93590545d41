//! One line of input, made into an event that can be sent.

use common::limits::EVENT_BYTES_MAX;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::value::RawValue;
use uuid::Uuid;

use crate::bounded_lines::{Line, count};

/// The name space of the ids of events that have none. Never changes: a file that is sent again
/// must get the same ids.
const NAMESPACE: Uuid = Uuid::from_u128(0x6d69_6c6c_7261_4365_8000_0073_656e_6421);

/// An event as it goes out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Event {
    /// The number of its line, from 1.
    pub(crate) line: u64,
    /// Its id, as JSON.
    pub(crate) id: String,
    /// The line, with an id if it had none.
    pub(crate) json: String,
}

/// An event that does not count, and why.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Reject {
    /// The number of its line, from 1.
    pub(crate) line: u64,
    /// Its id as the line has it, if any.
    pub(crate) event_id: Option<Box<RawValue>>,
    /// A stable code.
    pub(crate) reason: String,
    /// The same for people.
    pub(crate) message: String,
}

/// What a line is.
#[derive(Debug)]
pub(super) enum Prepared {
    /// Nothing.
    Blank,
    /// An event to send.
    Event(Event),
    /// Something that the service would refuse.
    Rejected(Reject),
}

/// Makes an event of a line. Apart from an id that is added where there is none, its text stays as
/// it is: numbers keep their digits and objects their order.
pub(super) fn prepare(number: u64, line: &Line) -> Prepared {
    match event_of(number, line) {
        Ok(Some(event)) => Prepared::Event(event),
        Ok(None) => Prepared::Blank,
        Err((reason, message)) => Prepared::Rejected(Reject {
            line: number,
            event_id: None,
            reason: reason.to_owned(),
            message,
        }),
    }
}

type Refusal = (&'static str, String);

fn event_of(number: u64, line: &Line) -> Result<Option<Event>, Refusal> {
    if line.cut > 0 {
        return Err(too_large(count(line.bytes.len()).saturating_add(line.cut)));
    }
    let text = std::str::from_utf8(&line.bytes)
        .map_err(|error| ("invalid_utf8", format!("the line is not UTF-8: {error}")))?;
    // Some editors put a byte order mark before the first line.
    let text = if number == 1 {
        text.trim_start_matches('\u{feff}')
    } else {
        text
    };
    let text = text.trim_ascii();
    if text.is_empty() {
        return Ok(None);
    }
    let not_json = |error| ("invalid_json", format!("the line is not JSON: {error}"));
    if !text.starts_with('{') {
        serde_json::from_str::<&RawValue>(text).map_err(not_json)?;
        return Err(("invalid_event", "an event is a JSON object".to_owned()));
    }
    let head: Head<'_> = serde_json::from_str(text).map_err(not_json)?;
    let (id, json) = match head.event_id.map(RawValue::get) {
        Some(given) if given != "null" => (given.to_owned(), text.to_owned()),
        given => {
            let id = format!("\"{}\"", id_of_line(number, text));
            let json = with_id(text, given, &id);
            (id, json)
        }
    };
    if json.len() > EVENT_BYTES_MAX {
        return Err(too_large(count(json.len())));
    }
    Ok(Some(Event {
        line: number,
        id,
        json,
    }))
}

/// What is looked at; the rest is only checked to be JSON.
#[derive(Deserialize)]
struct Head<'a> {
    #[serde(borrow, default, deserialize_with = "present")]
    event_id: Option<&'a RawValue>,
}

/// Tells `null` from nothing.
fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<&'de RawValue>, D::Error> {
    <&RawValue>::deserialize(deserializer).map(Some)
}

/// The same line at the same place is the same event, so sending a file again gives duplicates.
fn id_of_line(number: u64, text: &str) -> Uuid {
    Uuid::new_v5(&NAMESPACE, format!("{number}\u{1f}{text}").as_bytes())
}

/// The object with an id as its first member, or in place of the `null` that is a part of it.
fn with_id(object: &str, null: Option<&str>, id: &str) -> String {
    if let Some(null) = null {
        let at = null.as_ptr().addr().saturating_sub(object.as_ptr().addr());
        let (before, rest) = object.split_at_checked(at).unwrap_or((object, ""));
        return [before, id, rest.strip_prefix(null).unwrap_or_default()].concat();
    }
    let rest = object.strip_prefix('{').unwrap_or_default();
    let comma = if rest.trim_ascii_start().starts_with('}') {
        ""
    } else {
        ","
    };
    [r#"{"event_id":"#, id, comma, rest].concat()
}

fn too_large(bytes: u64) -> Refusal {
    let message = format!("the event has {bytes} bytes; at most {EVENT_BYTES_MAX} are allowed");
    ("event_too_large", message)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(bytes: &[u8]) -> Line {
        Line {
            bytes: bytes.to_vec(),
            cut: 0,
            end: 0,
        }
    }

    fn event(number: u64, text: &str) -> Event {
        match prepare(number, &line(text.as_bytes())) {
            Prepared::Event(event) => event,
            other => panic!("{text}: {other:?}"),
        }
    }

    #[test]
    fn a_line_with_an_id_is_passed_on_as_it_is() {
        for (text, id) in [
            (
                r#"{"event_id":"a-1","total":1.10,"big":123456789012345678901234567890}"#,
                r#""a-1""#,
            ),
            (r#"{ "total": 1e2 , "event_id" : 7 }"#, "7"),
            (
                r#"{"payload":{"event_id":null},"event\u005fid":"x"}"#,
                r#""x""#,
            ),
        ] {
            let event = event(3, &format!("  {text}\r"));
            assert_eq!((event.json.as_str(), event.id.as_str()), (text, id));
        }
    }

    #[test]
    fn a_line_without_an_id_gets_one_and_is_not_written_anew() {
        for (text, expected) in [
            ("{}", "{\"event_id\":ID}"),
            ("{ }", "{\"event_id\":ID }"),
            (r#"{"total":1.10}"#, r#"{"event_id":ID,"total":1.10}"#),
            (
                r#"{"a":null,"event_id": null ,"b":[1.0]}"#,
                r#"{"a":null,"event_id": ID ,"b":[1.0]}"#,
            ),
            (
                r#"{"payload":{"event_id":"x"}}"#,
                r#"{"event_id":ID,"payload":{"event_id":"x"}}"#,
            ),
        ] {
            let event = event(1, text);
            assert_eq!(event.json, expected.replace("ID", &event.id));
            assert!(
                serde_json::from_str::<serde_json::Value>(&event.json).is_ok(),
                "{}",
                event.json
            );
        }
    }

    #[test]
    fn ids_depend_on_the_place_and_the_text_and_never_change() {
        let id = event(1, r#"{"a":1}"#).id;
        assert_eq!(id, r#""6e03d13b-257d-5d5d-868e-55e3cc43ef5b""#);
        assert_eq!(event(1, " {\"a\":1}\r").id, id);
        assert_eq!(event(1, "\u{feff}{\"a\":1}").id, id);
        assert_ne!(event(2, r#"{"a":1}"#).id, id);
        assert_ne!(event(1, r#"{"a":2}"#).id, id);
    }

    #[test]
    fn what_the_service_would_refuse_is_rejected_here() {
        let long = format!(
            r#"{{"event_id":"1","text":"{}"}}"#,
            "x".repeat(EVENT_BYTES_MAX)
        );
        for (bytes, reason) in [
            (&b"{\"a\":\"\xff\"}"[..], "invalid_utf8"),
            (b"brand,total", "invalid_json"),
            (b"{\"a\":1", "invalid_json"),
            (b"{\"a\":1} {\"a\":2}", "invalid_json"),
            (b"{\"event_id\":1,\"event_id\":2}", "invalid_json"),
            (b"[1]", "invalid_event"),
            (b"\"text\"", "invalid_event"),
            (long.as_bytes(), "event_too_large"),
        ] {
            match prepare(7, &line(bytes)) {
                Prepared::Rejected(reject) => {
                    assert_eq!((reject.line, reject.reason.as_str()), (7, reason));
                }
                other => panic!("{reason}: {other:?}"),
            }
        }
        let cut = Line {
            cut: 5,
            ..line(b"{\"a")
        };
        assert!(
            matches!(prepare(1, &cut), Prepared::Rejected(reject) if reject.message.contains("8 bytes"))
        );
        assert!(matches!(prepare(1, &line(b" \r")), Prepared::Blank));
    }
}
