//! A message as a record: a JSON object of its fields, in their order, so that programs that know
//! nothing of Millrace read and write them.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use common::messages::REDRIVEN_FROM;
use common::topics::{self, DEAD_LETTER_SUFFIX};
use common::{FieldSink, RawFields};
use rdkafka::message::{Header, Headers, OwnedHeaders};
use serde::de::{MapAccess, Visitor};
use serde_json::value::RawValue;

/// The one field of a message whose record is no JSON object: the record's value.
const WHOLE: &str = "kafka_value";
/// The same, for a value that is no text.
const WHOLE_BASE64: &str = "kafka_value_base64";

/// What is appended to a topic.
#[derive(Debug, Clone, Default)]
pub(super) struct Record {
    pub(super) key: Option<Vec<u8>>,
    /// `None` says that what was there under the key is no more.
    pub(super) value: Option<Vec<u8>>,
    pub(super) headers: Vec<(&'static str, Vec<u8>)>,
}

impl Record {
    /// A message of a topic. A message whose record was no JSON object becomes the same bytes again.
    pub(super) fn of(topic: &str, fields: &RawFields) -> Self {
        let mut headers = Vec::new();
        let value = match whole(fields) {
            Some((value, first_id)) => {
                headers.extend(first_id.map(|id| (REDRIVEN_FROM, id.clone())));
                value
            }
            None => encode(fields),
        };
        Self {
            key: key_of(topic, fields),
            value: Some(value),
            headers,
        }
    }

    pub(super) fn native_headers(&self) -> Option<OwnedHeaders> {
        let mut all = OwnedHeaders::new_with_capacity(self.headers.len());
        for (key, value) in &self.headers {
            let value = Some(value.as_slice());
            all = all.insert(Header { key, value });
        }
        (!self.headers.is_empty()).then_some(all)
    }
}

/// The value of a header.
pub(super) fn header<'a>(headers: Option<&'a impl Headers>, name: &str) -> Option<&'a [u8]> {
    headers?.iter().find(|header| header.key == name)?.value
}

/// The value of the field that a topic is keyed by. Dead letters are told apart by their keys: one
/// without any gets a key that nobody else has.
fn key_of(topic: &str, fields: &RawFields) -> Option<Vec<u8>> {
    if topic.ends_with(DEAD_LETTER_SUFFIX) {
        return Some(uuid::Uuid::new_v4().to_string().into_bytes());
    }
    let name = topics::find(topic)?.key.as_bytes();
    let (_, value) = fields.0.iter().find(|(known, _)| known == name)?;
    (!value.is_empty()).then(|| value.clone())
}

fn encode(fields: &RawFields) -> Vec<u8> {
    let mut value = Vec::with_capacity(256);
    value.push(b'{');
    for (number, (name, text)) in fields.0.iter().enumerate() {
        if number > 0 {
            value.push(b',');
        }
        push_text(&mut value, name);
        value.push(b':');
        push_text(&mut value, text);
    }
    value.push(b'}');
    value
}

fn push_text(value: &mut Vec<u8>, text: &[u8]) {
    let text = serde_json::Value::from(String::from_utf8_lossy(text));
    value.extend_from_slice(text.to_string().as_bytes());
}

/// A record's value, and the id under which its message was first published.
type Whole<'a> = (Vec<u8>, Option<&'a Vec<u8>>);

/// The bytes of a message that was no JSON object, and the id under which it was first published.
fn whole(fields: &RawFields) -> Option<Whole<'_>> {
    let (first, first_id) = match fields.0.as_slice() {
        [first] => (first, None),
        [first, (name, id)] if name == REDRIVEN_FROM.as_bytes() => (first, Some(id)),
        _ => return None,
    };
    let (name, text) = first;
    if name == WHOLE.as_bytes() {
        return Some((text.clone(), first_id));
    }
    let encoded = (name == WHOLE_BASE64.as_bytes()).then_some(text)?;
    Some((BASE64.decode(encoded).ok()?, first_id))
}

/// The fields of a record, whoever wrote it.
pub(super) fn decode(value: Option<&[u8]>, headers: Option<&impl Headers>) -> RawFields {
    let value = value.unwrap_or_default();
    if let Ok(Object(fields)) = serde_json::from_slice(value) {
        return fields;
    }
    let field = match std::str::from_utf8(value) {
        Ok(text) => (WHOLE, text.to_owned()),
        Err(_) => (WHOLE_BASE64, BASE64.encode(value)),
    };
    let mut fields = RawFields::default();
    fields.field(field.0, &field.1);
    if let Some(first_id) = header(headers, REDRIVEN_FROM) {
        fields.field(REDRIVEN_FROM, &String::from_utf8_lossy(first_id));
    }
    fields
}

/// The fields of a JSON object in their order, repeated ones included. A value that is no text
/// counts as the text that it is written as.
struct Object(RawFields);

impl<'de> serde::Deserialize<'de> for Object {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Fields)
    }
}

struct Fields;

impl<'de> Visitor<'de> for Fields {
    type Value = Object;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Object, A::Error> {
        let mut fields = Vec::new();
        while let Some((name, value)) = map.next_entry::<String, &RawValue>()? {
            let text = match serde_json::from_str::<String>(value.get()) {
                Ok(text) => text,
                Err(_) => value.get().to_owned(),
            };
            fields.push((name.into_bytes(), text.into_bytes()));
        }
        Ok(Object(RawFields(fields)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(pairs: &[(&str, &str)]) -> RawFields {
        let pairs = pairs.iter().map(|(n, v)| ((*n).into(), (*v).into()));
        RawFields(pairs.collect())
    }

    fn read(value: &[u8]) -> RawFields {
        decode(Some(value), None::<&OwnedHeaders>)
    }

    #[test]
    fn fields_are_a_json_object_in_their_order_and_come_back() {
        let sent = fields(&[("b", "1\n\"ü\""), ("a", ""), ("b", "2")]);
        let record = Record::of("unknown", &sent);
        let value = record.value.unwrap();
        assert_eq!(
            String::from_utf8(value.clone()).unwrap(),
            r#"{"b":"1\n\"ü\"","a":"","b":"2"}"#
        );
        assert_eq!(read(&value), sent);
        assert_eq!(record.key, None);
    }

    #[test]
    fn values_that_are_no_text_are_the_text_they_are_written_as() {
        let value = br#" {"n": 1.50, "t": true, "x": null, "o": {"a": [1]}, "s": "\u00fc"} "#;
        let expected = [
            ("n", "1.50"),
            ("t", "true"),
            ("x", "null"),
            ("o", r#"{"a": [1]}"#),
            ("s", "ü"),
        ];
        assert_eq!(read(value), fields(&expected));
    }

    #[test]
    fn what_is_no_json_object_is_kept_byte_for_byte() {
        for value in [&b""[..], b"[]", b"{\"a\"", b"text", b"\xff\x00", b"{} x"] {
            let mut poison = read(value);
            assert_eq!(poison.0.len(), 1, "{value:?}");
            assert_eq!(Record::of("unknown", &poison).value.as_deref(), Some(value));
            poison.field(REDRIVEN_FROM, "5-1");
            let record = Record::of("unknown", &poison);
            assert_eq!(record.value.as_deref(), Some(value));
            let headers = record.native_headers();
            assert_eq!(decode(record.value.as_deref(), headers.as_ref()), poison);
        }
    }

    #[test]
    fn the_key_is_the_field_that_the_topic_is_keyed_by() {
        let topic = topics::ALL.first().unwrap();
        let key = |value| Record::of(topic.name, &fields(&[("x", "1"), (topic.key, value)])).key;
        assert_eq!(key("k"), Some(b"k".to_vec()));
        assert_eq!(key(""), None);
        assert_eq!(Record::of(topic.name, &fields(&[])).key, None);
        assert!(Record::of("t.dlq", &fields(&[])).key.is_some());
    }
}
