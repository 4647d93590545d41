//! The places of a payload that describe the person, and the country the event names.

use serde_json::{Map, Value};

use crate::Region;

/// The field of a WhatsApp message that holds its sender.
const SENDER: &str = "from";

/// Objects that describe the person, as paths from the payload, in order of sight.
const PERSON_PATHS: [&[&str]; 4] = [
    &["customer"],
    &["traits"],
    &["user"],
    &["context", "traits"],
];

/// Names that are the brand's id of a person unless a surer name says otherwise.
const PAYLOAD_FALLBACK_IDS: &[&str] = &["customer_id"];
const PERSON_FALLBACK_IDS: &[&str] = &["id", "customer_id"];

/// Texts that name the event's country, surest first.
const COUNTRY_PATHS: [&[&str]; 4] = [
    &["country"],
    &["country_code"],
    &["address", "country"],
    &["context", "country"],
];

/// An object that describes the person.
pub(super) struct Place<'a> {
    pub(super) object: &'a Map<String, Value>,
    pub(super) fallback_ids: &'static [&'static str],
    pub(super) sender: Option<&'a str>,
}

/// The payload itself, and the objects in it that describe the person.
pub(super) fn payload_places(payload: &Map<String, Value>) -> Vec<Place<'_>> {
    let top = Place {
        object: payload,
        fallback_ids: PAYLOAD_FALLBACK_IDS,
        sender: payload.get(SENDER).and_then(Value::as_str),
    };
    let people = PERSON_PATHS
        .iter()
        .filter_map(|path| value_at(payload, path)?.as_object())
        .map(|object| Place {
            object,
            fallback_ids: PERSON_FALLBACK_IDS,
            sender: None,
        });
    std::iter::once(top).chain(people).collect()
}

/// The first alpha-2 code among the usual places of a country; names of countries say nothing.
pub(super) fn event_region(payload: &Map<String, Value>) -> Option<Region> {
    COUNTRY_PATHS
        .iter()
        .find_map(|path| value_at(payload, path)?.as_str()?.parse().ok())
}

fn value_at<'a>(object: &'a Map<String, Value>, path: &[&str]) -> Option<&'a Value> {
    let (first, rest) = path.split_first()?;
    let start = object.get(*first)?;
    rest.iter().try_fold(start, |value, name| value.get(*name))
}
