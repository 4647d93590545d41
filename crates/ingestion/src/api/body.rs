//! The three shapes of a body: one event, an array of them, or a batch with its time of sending.

use axum::http::StatusCode;
use common::UnixMillis;
use common::limits::{EVENT_BYTES_MAX, EVENTS_MAX};
use serde::Deserialize;
use serde_json::value::RawValue;
use worker::http::Problem;

use super::event::Incoming;
use crate::rules::timestamp;

/// A body taken apart: the text of each event, not yet looked into.
#[derive(Debug)]
pub(crate) struct Body<'a> {
    pub(crate) events: Vec<&'a RawValue>,
    pub(crate) sent_at: Option<UnixMillis>,
}

/// What tells a batch from an event: the field `batch`.
#[derive(Deserialize)]
struct Probe<'a> {
    #[serde(borrow, default)]
    batch: Option<&'a RawValue>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Envelope<'a> {
    #[serde(borrow)]
    batch: Vec<&'a RawValue>,
    #[serde(borrow, default)]
    sent_at: Option<&'a RawValue>,
}

/// The events of a body that is in order, read in one pass; a body that is not, or is a batch with
/// its time of sending, is for [`parse`], which says what is wrong with which event.
pub(crate) fn parse_in_order(bytes: &[u8]) -> Option<Vec<Incoming<'_>>> {
    // No event can be too large in a body that is not.
    let bytes = Some(bytes).filter(|bytes| bytes.len() <= EVENT_BYTES_MAX)?;
    match bytes.trim_ascii_start().first()? {
        b'{' => serde_json::from_slice(bytes).map(|event| vec![event]).ok(),
        b'[' => serde_json::from_slice(bytes).ok(),
        _ => None,
    }
    .filter(|events| events.len() <= usize::from(EVENTS_MAX))
}

/// Takes a body apart.
pub(crate) fn parse(bytes: &[u8], now: UnixMillis) -> Result<Body<'_>, Problem> {
    let text = std::str::from_utf8(bytes).map_err(|error| {
        let detail = format!("the body is not UTF-8 after byte {}", error.valid_up_to());
        Problem::new(StatusCode::BAD_REQUEST, "invalid_utf8", detail)
    })?;
    let body = match text.trim_start().as_bytes().first() {
        Some(b'[') => Body {
            events: json(text)?,
            sent_at: None,
        },
        Some(b'{') => object(text, now)?,
        Some(_) | None => {
            let detail = "the body is neither a JSON object nor an array";
            return Err(Problem::new(
                StatusCode::BAD_REQUEST,
                "invalid_json",
                detail,
            ));
        }
    };
    if body.events.len() > usize::from(EVENTS_MAX) {
        let detail = format!("a request may have {EVENTS_MAX} events; split the batch");
        return Err(Problem::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            "too_many_events",
            detail,
        ));
    }
    Ok(body)
}

fn object(text: &str, now: UnixMillis) -> Result<Body<'_>, Problem> {
    if json::<Probe<'_>>(text)?.batch.is_none() {
        return Ok(Body {
            events: vec![json(text)?],
            sent_at: None,
        });
    }
    let envelope: Envelope<'_> = json(text)?;
    let sent_at = match envelope.sent_at.map(RawValue::get) {
        None | Some("null") => None,
        Some(value) => Some(
            timestamp::parse_json(&json(value)?, now).map_err(|rejection| {
                let detail = format!("sent_at: {}", rejection.message);
                Problem::new(StatusCode::BAD_REQUEST, "invalid_sent_at", detail)
            })?,
        ),
    };
    Ok(Body {
        events: envelope.batch,
        sent_at,
    })
}

fn json<'a, T: Deserialize<'a>>(text: &'a str) -> Result<T, Problem> {
    serde_json::from_str(text).map_err(|error| {
        let detail = format!("the body is not valid: {error}");
        Problem::new(StatusCode::BAD_REQUEST, "invalid_json", detail)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: UnixMillis = UnixMillis(1_800_000_000_000);

    #[test]
    fn one_event_an_array_and_a_batch_are_told_apart() {
        for (text, events, sent) in [
            (r#"{"brand_id":"a"}"#, 1, false),
            (" [{},{}] ", 2, false),
            ("[]", 0, false),
            (r#"{"batch":[{},1,"x"]}"#, 3, false),
            (
                r#"{"batch":[{}],"sent_at":"2026-11-20T00:00:00Z"}"#,
                1,
                true,
            ),
            (r#"{"batch":[{}],"sent_at":null}"#, 1, false),
        ] {
            let body = parse(text.as_bytes(), NOW).expect(text);
            assert_eq!(
                (body.events.len(), body.sent_at.is_some()),
                (events, sent),
                "{text}"
            );
        }
    }

    #[test]
    fn a_body_in_order_is_read_in_one_pass_and_any_other_is_left() {
        let good = r#"{"brand_id":"a","event_type":"b","payload":{"c":[1]}}"#;
        let too_many = format!(
            "[{}{good}]",
            format!("{good},").repeat(usize::from(EVENTS_MAX))
        );
        let too_large = format!(" {}{good}", " ".repeat(EVENT_BYTES_MAX));
        for (text, events) in [
            (good.to_owned(), Some(1)),
            (format!(" [{good}, {good}] "), Some(2)),
            ("[]".to_owned(), Some(0)),
            (format!("{{\"batch\":[{good}]}}"), None),
            (format!("[{good},{{}}]"), None),
            (format!("{good}{good}"), None),
            (too_many, None),
            (too_large, None),
            (String::new(), None),
        ] {
            let read = parse_in_order(text.as_bytes()).map(|events| events.len());
            assert_eq!(
                read,
                events,
                "{}",
                text.chars().take(100).collect::<String>()
            );
        }
    }

    #[test]
    fn a_body_that_is_no_batch_of_events_is_refused_as_a_whole() {
        let too_many = format!("[{}1]", "1,".repeat(usize::from(EVENTS_MAX)));
        for (bytes, code) in [
            (&b""[..], "invalid_json"),
            (b"nonsense", "invalid_json"),
            (b"{\"brand_id\":", "invalid_json"),
            (b"[1,2", "invalid_json"),
            (b"{\"batch\":7}", "invalid_json"),
            (b"{\"batch\":[],\"other\":1}", "invalid_json"),
            (b"{\"batch\":[],\"sent_at\":\"soon\"}", "invalid_sent_at"),
            (b"{\"brand_id\":\"\xff\"}", "invalid_utf8"),
            (too_many.as_bytes(), "too_many_events"),
        ] {
            let problem = parse(bytes, NOW).expect_err("refused");
            assert_eq!(problem.code, code, "{}", String::from_utf8_lossy(bytes));
        }
    }
}
