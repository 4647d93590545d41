//! The few fields of a payload that its normal form depends on.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::{Map, Value};

use super::order_id::ORDER_ID_FIELDS;
use super::{AMOUNT_FIELDS, AMOUNT_MINOR, CURRENCY};

/// Reads only the fields that [`super::normalize`] looks at: its answer is the same for them as for
/// the whole payload, and the rest, often most of it, is passed over.
pub(crate) fn read(json: &str) -> serde_json::Result<Map<String, Value>> {
    let mut deserializer = serde_json::Deserializer::from_str(json);
    let fields = deserializer.deserialize_map(Fields)?;
    deserializer.end().map(|()| fields)
}

struct Fields;

impl<'de> Visitor<'de> for Fields {
    type Value = Map<String, Value>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Self::Value, A::Error> {
        let mut fields = Map::new();
        while let Some(name) = entries.next_key_seed(Name)? {
            match name {
                Some(name) => {
                    fields.insert(name.to_owned(), entries.next_value()?);
                }
                None => {
                    entries.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(fields)
    }
}

/// A field's name, if it is one of those.
struct Name;

impl<'de> DeserializeSeed<'de> for Name {
    type Value = Option<&'static str>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for Name {
    type Value = Option<&'static str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a field's name")
    }

    fn visit_str<E>(self, name: &str) -> Result<Self::Value, E> {
        let all = [AMOUNT_MINOR, CURRENCY].into_iter();
        let mut all = all.chain(AMOUNT_FIELDS).chain(ORDER_ID_FIELDS);
        Ok(all.find(|known| *known == name))
    }
}
