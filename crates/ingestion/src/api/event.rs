//! One event as a sender writes it, and as it goes into the stream.

use std::borrow::Cow;

use common::event_types::PURCHASE;
use common::ids::check_text;
use common::limits::EVENT_BYTES_MAX;
use common::messages::{JsonText, RawEvent};
use common::{BrandId, EventId, EventType, UnixMillis};
use serde::Deserialize;
use serde_json::value::RawValue;
use uuid::Uuid;

use crate::rules::rejection::Rejection;
use crate::rules::timestamp;
use crate::rules::{json_shape, payload};

/// What an event is read against.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Context<'a> {
    pub(crate) received_at: UnixMillis,
    /// When the sender's clock said that the batch was sent.
    pub(crate) sent_at: Option<UnixMillis>,
    pub(crate) traceparent: Option<&'a str>,
}

/// An event that is not accepted, with its id as far as it could be read.
#[derive(Debug)]
pub(crate) struct Refused {
    pub(crate) event_id: Option<String>,
    pub(crate) rejection: Rejection,
}

/// An event whose form is right; what its fields say is not checked.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Incoming<'a> {
    #[serde(borrow, default)]
    event_id: Option<Cow<'a, str>>,
    #[serde(borrow)]
    brand_id: Cow<'a, str>,
    #[serde(borrow)]
    event_type: Cow<'a, str>,
    #[serde(borrow)]
    payload: &'a RawValue,
    #[serde(borrow, default)]
    timestamp: Option<&'a RawValue>,
    #[serde(borrow, default)]
    identifiers: Option<&'a RawValue>,
}

/// Only the id, for the answer to an event that cannot be read otherwise.
#[derive(Deserialize)]
struct OnlyId<'a> {
    #[serde(borrow, default)]
    event_id: Option<Cow<'a, str>>,
}

/// Reads one event.
pub(crate) fn parse(text: &RawValue, context: &Context<'_>) -> Result<RawEvent, Refused> {
    let text = text.get();
    let incoming = form(text).map_err(|rejection| {
        let id = serde_json::from_str::<OnlyId<'_>>(text)
            .ok()
            .and_then(|only| only.event_id);
        Refused {
            event_id: id.map(Cow::into_owned),
            rejection,
        }
    })?;
    accept(incoming, context)
}

fn form(text: &str) -> Result<Incoming<'_>, Rejection> {
    if text.len() > EVENT_BYTES_MAX {
        let message = format!("an event may have {EVENT_BYTES_MAX} bytes");
        return Err(Rejection::new("event_too_large", message));
    }
    serde_json::from_str(text).map_err(|error| {
        Rejection::new("invalid_event", format!("the event is not valid: {error}"))
    })
}

/// Checks what the fields of an event say.
pub(crate) fn accept(incoming: Incoming<'_>, context: &Context<'_>) -> Result<RawEvent, Refused> {
    let event_id = incoming.event_id.clone();
    check(incoming, context).map_err(|rejection| Refused {
        event_id: event_id.map(Cow::into_owned),
        rejection,
    })
}

fn check(incoming: Incoming<'_>, context: &Context<'_>) -> Result<RawEvent, Rejection> {
    json_shape::check_object(incoming.payload.get())?;
    let brand_id = BrandId::new(incoming.brand_id)
        .map_err(|error| Rejection::new("invalid_brand_id", format!("brand_id {error}")))?;
    let event_type = EventType::new(incoming.event_type)
        .map_err(|error| Rejection::new("invalid_event_type", format!("event_type {error}")))?;
    let identifiers = match incoming.identifiers.map(RawValue::get) {
        None | Some("null") => None,
        Some(identifiers) => {
            json_shape::check_object(identifiers).map_err(|rejection| {
                let message = format!("identifiers: {}", rejection.message);
                Rejection::new("invalid_identifiers", message)
            })?;
            Some(JsonText(identifiers.to_owned()))
        }
    };
    check_purchase(event_type.as_str(), incoming.payload.get())?;
    let (event_id, client_event_id) = event_id(&brand_id, incoming.event_id.as_deref())?;
    let (timestamp, original_timestamp) =
        timestamp_of(incoming.timestamp.map(RawValue::get), context)?;
    Ok(RawEvent {
        event_id,
        brand_id,
        event_type,
        payload: JsonText(incoming.payload.get().to_owned()),
        timestamp: timestamp.to_string(),
        identifiers,
        client_event_id,
        original_timestamp,
        traceparent: context
            .traceparent
            .filter(|text| is_traceparent(text))
            .map(str::to_owned),
        extra: Vec::new(),
    })
}

/// A purchase whose money or order cannot be brought into normal form is refused at the door: the
/// sender learns of it at once.
fn check_purchase(event_type: &str, json: &str) -> Result<(), Rejection> {
    if event_type != PURCHASE {
        return Ok(());
    }
    let fields = payload::fields_read::read(json).map_err(|error| {
        Rejection::new(
            "invalid_json",
            format!("payload is not a JSON object: {error}"),
        )
    })?;
    payload::normalize(event_type, fields).map(drop)
}

/// The id of the event and, if the sender's is no UUID, the sender's.
fn event_id(brand: &BrandId, given: Option<&str>) -> Result<(EventId, Option<String>), Rejection> {
    let Some(given) = given else {
        return Ok((EventId(Uuid::new_v4()), None));
    };
    check_text(given)
        .map_err(|error| Rejection::new("invalid_event_id", format!("event_id {error}")))?;
    match Uuid::try_parse(given) {
        Ok(uuid) => Ok((EventId(uuid), None)),
        Err(_) => Ok((EventId::of_text(brand, given), Some(given.to_owned()))),
    }
}

/// When the event happened, and the sender's word where its clock had to be corrected.
fn timestamp_of(
    given: Option<&str>,
    context: &Context<'_>,
) -> Result<(UnixMillis, Option<String>), Rejection> {
    let given = match given {
        None | Some("null") => return Ok((context.received_at, None)),
        Some(given) => given,
    };
    let value = serde_json::from_str(given).map_err(|error| {
        Rejection::new(
            "invalid_timestamp",
            format!("timestamp is not valid: {error}"),
        )
    })?;
    let timestamp = timestamp::parse_json(&value, context.received_at)?;
    let corrected = context
        .sent_at
        .and_then(|sent_at| timestamp::correct_for_clock(timestamp, sent_at, context.received_at));
    match corrected {
        Some(corrected) => Ok((corrected, Some(timestamp.to_string()))),
        None => Ok((timestamp, None)),
    }
}

/// W3C trace context, version 00: `00-<32 hex>-<16 hex>-<2 hex>`.
fn is_traceparent(text: &str) -> bool {
    let lengths: Vec<usize> = text.split('-').map(str::len).collect();
    lengths == [2, 32, 16, 2]
        && text
            .bytes()
            .all(|byte| byte == b'-' || byte.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: UnixMillis = UnixMillis(1_800_000_000_000);
    const CONTEXT: Context<'_> = Context {
        received_at: NOW,
        sent_at: None,
        traceparent: None,
    };

    fn raw(text: &str) -> Box<RawValue> {
        serde_json::from_str(text).expect(text)
    }

    fn read(text: &str) -> Result<RawEvent, Refused> {
        parse(&raw(text), &CONTEXT)
    }

    #[test]
    fn an_event_goes_into_the_stream_as_it_was_sent() {
        let event = read(
            r#"{"event_id":"o-1","brand_id":"acme","event_type":"purchase",
                "payload":{"total": 29.330, "currency":"USD"},"timestamp":852076800}"#,
        )
        .expect("accepted");
        assert_eq!(event.payload.0, r#"{"total": 29.330, "currency":"USD"}"#);
        assert_eq!(event.timestamp, "1997-01-01T00:00:00.000Z");
        assert_eq!(event.client_event_id.as_deref(), Some("o-1"));
        assert_eq!(event.event_id, EventId::of_text(&event.brand_id, "o-1"));
    }

    #[test]
    fn what_is_missing_is_assigned_and_a_uuid_is_kept() {
        let event = read(r#"{"brand_id":"acme","event_type":"x","payload":{}}"#).expect("accepted");
        assert_eq!(event.timestamp, NOW.to_string());
        let id = "018f3a52-0000-7000-8000-00000000000A";
        let text =
            format!(r#"{{"event_id":"{id}","brand_id":"a","event_type":"x","payload":{{}}}}"#);
        let event = read(&text).expect("accepted");
        assert_eq!(
            (event.event_id.to_string(), event.client_event_id),
            (id.to_lowercase(), None)
        );
    }

    #[test]
    fn a_bad_event_is_refused_with_its_id_and_a_reason() {
        let long = "x".repeat(201);
        let deep = format!("{}1{}", r#"{"a":"#.repeat(40), "}".repeat(40));
        let large = format!(r#"{{"a":"{}"}}"#, "x".repeat(EVENT_BYTES_MAX));
        let event = |rest: &str| format!(r#"{{"event_id":"e","event_type":"x",{rest}}}"#);
        let brand = |rest: &str| event(&format!(r#""brand_id":"a",{rest}"#));
        for (text, reason) in [
            ("7".to_owned(), "invalid_event"),
            (event(r#""payload":{}"#), "invalid_event"),
            (event(r#""brand_id":7,"payload":{}"#), "invalid_event"),
            (event(r#""brand_id":"","payload":{}"#), "invalid_brand_id"),
            (
                event(r#""brand_id":"a\u0000","payload":{}"#),
                "invalid_brand_id",
            ),
            (brand(r#""payload":[]"#), "payload_not_an_object"),
            (brand(r#""payload":"x""#), "payload_not_an_object"),
            (brand(r#""payload":{"a":"\ud800"}"#), "invalid_json"),
            (brand(&format!(r#""payload":{deep}"#)), "too_deep"),
            (brand(&format!(r#""payload":{large}"#)), "event_too_large"),
            (brand(r#""payload":{},"user":"x""#), "invalid_event"),
            (
                brand(r#""payload":{},"identifiers":[]"#),
                "invalid_identifiers",
            ),
            (
                brand(r#""payload":{},"timestamp":"9999-12-31T00:00:00Z""#),
                "timestamp_out_of_range",
            ),
            (
                brand(r#""payload":{},"timestamp":"1900-01-01T00:00:00Z""#),
                "timestamp_out_of_range",
            ),
            (brand(r#""payload":{},"timestamp":{}"#), "invalid_timestamp"),
        ] {
            let refused = read(&text).expect_err(&text);
            assert_eq!(refused.rejection.reason, reason, "{text:.80}");
            let named = text.starts_with('{').then_some("e");
            assert_eq!(refused.event_id.as_deref(), named, "{text:.80}");
        }
        let text =
            format!(r#"{{"event_id":"{long}","brand_id":"a","event_type":"x","payload":{{}}}}"#);
        assert_eq!(
            read(&text).expect_err("too long").rejection.reason,
            "invalid_event_id"
        );
    }

    #[test]
    fn a_wrong_clock_is_corrected_and_the_sender_s_word_is_kept() {
        let hour = 3_600_000;
        let context = Context {
            sent_at: Some(UnixMillis(NOW.0 + hour)),
            ..CONTEXT
        };
        let raw: Box<RawValue> = serde_json::from_str(
            r#"{"brand_id":"a","event_type":"x","payload":{},"timestamp":1800003600000}"#,
        )
        .expect("json");
        let event = parse(&raw, &context).expect("accepted");
        assert_eq!(event.timestamp, NOW.to_string());
        assert_eq!(
            event.original_timestamp,
            Some(UnixMillis(NOW.0 + hour).to_string())
        );
    }
}
