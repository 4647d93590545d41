//! What a payload must be before anything reads it: a JSON object that is not too deep.

use std::cell::Cell;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};

use super::rejection::Rejection;

/// The most objects and arrays inside one another, the payload itself being the first.
pub(crate) const DEPTH_MAX: usize = 32;

/// With the feature `raw_value`, `serde_json` takes an object with this key for a carrier of more
/// JSON and parses its string value, past every limit that was checked here.
const RESERVED_KEY: &str = "$serde_json::private::RawValue";

/// Checks a payload's text without building a tree of it. What passes can be read by
/// `serde_json`: also the strings are looked into, where escapes may name no character.
pub(crate) fn check_object(json: &str) -> Result<(), Rejection> {
    let is_too_deep = Cell::new(false);
    let payload = Level {
        depth: 1,
        is_too_deep: &is_too_deep,
    };
    let mut deserializer = serde_json::Deserializer::from_str(json);
    let walked = payload
        .deserialize(&mut deserializer)
        .and_then(|kind| deserializer.end().map(|()| kind));
    match walked {
        Ok(Kind::Object) => Ok(()),
        Ok(Kind::Other) => Err(Rejection::new(
            "payload_not_an_object",
            "payload must be a JSON object",
        )),
        Err(_) if is_too_deep.get() => Err(Rejection::new(
            "too_deep",
            format!("payload must not nest objects and arrays more than {DEPTH_MAX} deep"),
        )),
        Err(error) => Err(Rejection::new(
            "invalid_json",
            format!("payload must be valid JSON: {error}"),
        )),
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Object,
    Other,
}

/// One value, and how deep it would be if it were an object or array.
#[derive(Clone, Copy)]
struct Level<'a> {
    depth: usize,
    /// A flag beside the error, because a `serde_json` error carries only text.
    is_too_deep: &'a Cell<bool>,
}

impl Level<'_> {
    fn inner<E: serde::de::Error>(self) -> Result<Self, E> {
        if self.depth > DEPTH_MAX {
            self.is_too_deep.set(true);
            return Err(E::custom("nested too deeply"));
        }
        Ok(Self {
            depth: self.depth + 1,
            ..self
        })
    }
}

impl<'de> DeserializeSeed<'de> for Level<'_> {
    type Value = Kind;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Kind, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Level<'_> {
    type Value = Kind;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_bool<E>(self, _: bool) -> Result<Kind, E> {
        Ok(Kind::Other)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Kind, E> {
        Ok(Kind::Other)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Kind, E> {
        Ok(Kind::Other)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Kind, E> {
        Ok(Kind::Other)
    }

    fn visit_str<E>(self, _: &str) -> Result<Kind, E> {
        Ok(Kind::Other)
    }

    fn visit_unit<E>(self) -> Result<Kind, E> {
        Ok(Kind::Other)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Kind, A::Error> {
        let inner = self.inner()?;
        while elements.next_element_seed(inner)?.is_some() {}
        Ok(Kind::Other)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Kind, A::Error> {
        let inner = self.inner()?;
        while entries.next_entry_seed(Key, inner)?.is_some() {}
        Ok(Kind::Object)
    }
}

struct Key;

impl<'de> DeserializeSeed<'de> for Key {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for Key {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_str<E: serde::de::Error>(self, key: &str) -> Result<(), E> {
        if key == RESERVED_KEY {
            return Err(E::custom(format_args!(
                "the key {RESERVED_KEY} is reserved"
            )));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;

    fn check(json: &str, expected: Result<(), &str>) {
        let shape = check_object(json).map_err(|rejection| rejection.reason);
        let start: String = json.chars().take(80).collect();
        assert_eq!(shape, expected, "{start}");
    }

    fn nested(open: &str, close: &str, levels: usize) -> String {
        format!("{}1{}", open.repeat(levels), close.repeat(levels))
    }

    #[test]
    fn objects_pass() {
        for json in [
            "{}",
            " {\"a\" : 1}\n",
            r#"{"a":[1,-2,3.5,1e3,true,false,null,"x",{}],"b":{"c":[]}}"#,
            r#"{"a":1,"a":2}"#,
            r#"{"emoji":"\ud83d\ude00","nul":"\u0000","é":"\u00e9"}"#,
            r#"{"":""}"#,
            r#"{"big":123456789012345678901234567890}"#,
        ] {
            check(json, Ok(()));
        }
    }

    #[test]
    fn other_values_and_broken_texts_are_refused() {
        for (json, reason) in [
            ("[]", "payload_not_an_object"),
            ("[{\"a\":1}]", "payload_not_an_object"),
            ("null", "payload_not_an_object"),
            ("true", "payload_not_an_object"),
            ("1", "payload_not_an_object"),
            ("-1", "payload_not_an_object"),
            ("1.5", "payload_not_an_object"),
            ("\"{}\"", "payload_not_an_object"),
            ("", "invalid_json"),
            (" ", "invalid_json"),
            ("{", "invalid_json"),
            ("{}{}", "invalid_json"),
            ("{} x", "invalid_json"),
            ("{a:1}", "invalid_json"),
            ("{'a':1}", "invalid_json"),
            ("{1:1}", "invalid_json"),
            ("{\"a\":1,}", "invalid_json"),
            ("{\"a\":NaN}", "invalid_json"),
            ("{\"a\":Infinity}", "invalid_json"),
            ("{\"a\":01}", "invalid_json"),
            ("{\"a\":1e999}", "invalid_json"),
            ("{\"a\":\"line\nbreak\"}", "invalid_json"),
            (r#"{"a":"\x"}"#, "invalid_json"),
            (r#"{"a":"\ud83d"}"#, "invalid_json"),
            (r#"{"a":"\ude00"}"#, "invalid_json"),
            (r#"{"a":[{"b":"\ud83dx"}]}"#, "invalid_json"),
            (r#"{"\ud83d":1}"#, "invalid_json"),
            (r#"{"a":{"\ud83d":1}}"#, "invalid_json"),
            ("\u{feff}{}", "invalid_json"),
            ("[1", "invalid_json"),
        ] {
            check(json, Err(reason));
        }
    }

    #[test]
    fn nesting_has_a_limit_and_spares_the_stack() {
        check(&nested("{\"a\":", "}", DEPTH_MAX), Ok(()));
        check(&nested("{\"a\":", "}", DEPTH_MAX + 1), Err("too_deep"));
        let arrays = |levels| format!("{{\"a\":{}}}", nested("[", "]", levels));
        check(&arrays(DEPTH_MAX - 1), Ok(()));
        check(&arrays(DEPTH_MAX), Err("too_deep"));
        check(&arrays(100_000), Err("too_deep"));
        check(&nested("[", "]", 100_000), Err("too_deep"));
        check(&"[".repeat(100_000), Err("too_deep"));
        check(&"{\"a\":".repeat(100_000), Err("too_deep"));
    }

    #[test]
    fn json_in_a_string_cannot_pass_as_a_part_of_the_payload() {
        let smuggled = r#"{"a":{"$serde_json::private::RawValue":"[1]"}}"#;
        let read: Value = serde_json::from_str(smuggled).expect("serde_json reads it");
        assert_eq!(read, serde_json::json!({"a": [1]}));
        check(smuggled, Err("invalid_json"));
        check(
            r#"{"a":{"\u0024serde_json::private::RawValue":"[1]"}}"#,
            Err("invalid_json"),
        );
        check(r#"{"a":"$serde_json::private::RawValue"}"#, Ok(()));
    }

    proptest! {
        #[test]
        fn any_text_gets_an_answer(text in any::<String>(), json in "[\\[\\]{}\",:\\\\u01dae .-]{0,60}") {
            for text in [text, json] {
                let object = serde_json::from_str::<Value>(&text).is_ok_and(|value| value.is_object());
                prop_assert_eq!(check_object(&text).is_ok(), object, "{}", text);
            }
        }
    }
}
