//! The id under which a message was first published, which it keeps when it is redriven. The script
//! `redrive.lua` goes by the same rules.

use common::RawFields;
use common::messages::REDRIVEN_FROM;

use crate::message_id::MessageId;

/// The id that a text is, if the text is as the bus writes ids.
pub(crate) fn read(text: &[u8]) -> Option<MessageId> {
    let text = std::str::from_utf8(text).ok()?;
    let id: MessageId = text.parse().ok()?;
    (id.to_string() == text).then_some(id)
}

/// The first id at the end of a message's fields, where redriving put it. Anything else that is
/// there is the message's own: no message was first published after it was given up.
pub(crate) fn of(fields: &RawFields, id: MessageId) -> Option<MessageId> {
    let (name, value) = fields.0.last()?;
    if name != REDRIVEN_FROM.as_bytes() {
        return None;
    }
    read(value).filter(|first| *first < id)
}

/// Takes the first id off the end of a message's fields.
pub(crate) fn take(fields: &mut RawFields, id: MessageId) -> Option<MessageId> {
    let first = of(fields, id)?;
    fields.0.pop();
    Some(first)
}

/// Puts the first id at the end of the fields of a message that is redriven.
pub(crate) fn put(fields: &mut RawFields, first: MessageId) {
    let field = (REDRIVEN_FROM.into(), first.to_string().into_bytes());
    fields.0.push(field);
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: MessageId = MessageId { major: 7, minor: 5 };

    /// What is taken off the end of fields, and how many are left.
    fn taken(pairs: &[(&str, &str)]) -> (Option<String>, usize) {
        let pairs = pairs
            .iter()
            .map(|(name, value)| ((*name).into(), (*value).into()));
        let mut fields = RawFields(pairs.collect());
        let first = take(&mut fields, ID).map(|first| first.to_string());
        (first, fields.0.len())
    }

    #[test]
    fn what_redriving_put_there_is_taken_off_and_read_back() {
        let mut fields = RawFields(vec![(b"a".to_vec(), b"1".to_vec())]);
        let before = fields.clone();
        let first = MessageId { major: 7, minor: 4 };
        put(&mut fields, first);
        assert_eq!(take(&mut fields, ID), Some(first));
        assert_eq!(fields, before);
        assert_eq!(take(&mut fields, ID), None);
    }

    #[test]
    fn only_the_last_field_is_looked_at() {
        let (first, second) = (("redriven_from", "3-0"), ("redriven_from", "4-0"));
        assert_eq!(taken(&[first, second]), (Some("4-0".to_owned()), 1));
        assert_eq!(taken(&[first, ("a", "1")]), (None, 2));
        assert_eq!(taken(&[]), (None, 0));
    }

    #[test]
    fn a_value_that_the_bus_did_not_write_is_left_alone() {
        for value in [
            "",
            "5",
            "-",
            "+5-0",
            "05-0",
            "5-00",
            "5-0 ",
            "7-5",
            "8-0",
            "5-99999999999999999999",
        ] {
            assert_eq!(taken(&[("redriven_from", value)]), (None, 1), "{value}");
        }
    }
}
