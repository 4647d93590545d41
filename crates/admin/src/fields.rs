//! Fields of messages as JSON.

use common::RawFields;
use serde_json::{Map, Value};

/// The fields as an object of texts, and whether something was lost on the way: bytes that are not
/// UTF-8 are replaced, and of fields of one name the last is shown.
pub(crate) fn shown(fields: &RawFields) -> (Value, bool) {
    let mut object = Map::new();
    let mut lossy = false;
    for (name, value) in &fields.0 {
        let name = text(name, &mut lossy);
        let value = Value::String(text(value, &mut lossy));
        lossy |= object.insert(name, value).is_some();
    }
    (Value::Object(object), lossy)
}

/// Bytes of names and values.
pub(crate) fn size(fields: &RawFields) -> usize {
    let size = |(name, value): &(Vec<u8>, Vec<u8>)| name.len() + value.len();
    fields.0.iter().map(size).sum()
}

fn text(bytes: &[u8], lossy: &mut bool) -> String {
    let text = String::from_utf8_lossy(bytes);
    *lossy |= text.as_bytes() != bytes;
    text.into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_shown_as_it_is_says_so() {
        for (pairs, expected, lossy) in [
            (
                vec![("a", &b"1"[..]), ("b", "é".as_bytes())],
                r#"{"a":"1","b":"é"}"#,
                false,
            ),
            (vec![("a", &b"\xff"[..])], "{\"a\":\"\u{fffd}\"}", true),
            (
                vec![("a", &b"1"[..]), ("a", &b"2"[..])],
                r#"{"a":"2"}"#,
                true,
            ),
            (
                vec![("a", "\u{fffd}".as_bytes())],
                "{\"a\":\"\u{fffd}\"}",
                false,
            ),
        ] {
            let pairs = pairs
                .into_iter()
                .map(|(name, value)| (name.into(), value.into()));
            let (object, found) = shown(&RawFields(pairs.collect()));
            assert_eq!((object.to_string(), found), (expected.to_owned(), lossy));
        }
    }
}
