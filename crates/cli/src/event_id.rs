//! The event that a message is about.

use common::RawFields;
use uuid::Uuid;

/// The field of every message about an event.
const FIELD: &[u8] = b"event_id";

/// The event's id, if the message has one. The message is not decoded, so that what is no message
/// can be found, too.
pub(crate) fn event_id_of(fields: &RawFields) -> Option<Uuid> {
    let (_, value) = fields.0.iter().find(|(name, _)| name == FIELD)?;
    Uuid::try_parse_ascii(value).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_known_by_its_id_whatever_else_is_in_the_message() {
        let fields = |name: &str, value: &str| {
            let field = (name.as_bytes().to_vec(), value.as_bytes().to_vec());
            RawFields(vec![(b"x".to_vec(), vec![0xff]), field])
        };
        let id = "018f3a52-0000-7000-8000-000000000001";
        let expected = id.parse().expect("a UUID");
        assert_eq!(event_id_of(&fields("event_id", id)), Some(expected));
        assert_eq!(event_id_of(&fields("profile_id", id)), None);
        assert_eq!(event_id_of(&fields("event_id", "7")), None);
    }
}
