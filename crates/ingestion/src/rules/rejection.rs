//! Why an event is refused, in a form for programs and in one for people.

use std::error::Error;
use std::fmt;

/// The most characters of a sender's value that a message repeats: enough to recognise the value,
/// too few to fill a log or to leak a document.
const EXCERPT_CHARS_MAX: usize = 60;

/// A rule that an event broke. It can never succeed as it is: the sender has to change it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Rejection {
    /// A stable code in snake case, such as `invalid_timestamp`.
    pub(crate) reason: &'static str,
    /// A sentence that names the field and says what is allowed.
    pub(crate) message: String,
}

impl Rejection {
    /// Values of the sender go into the message only through [`excerpt`].
    pub(crate) fn new(reason: &'static str, message: impl Into<String>) -> Self {
        Self {
            reason,
            message: message.into(),
        }
    }
}

impl fmt::Display for Rejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl Error for Rejection {}

/// At most [`EXCERPT_CHARS_MAX`] characters, the last one `…` when the text is longer. Control
/// characters are replaced, because messages end up in logs and terminals.
pub(crate) fn excerpt(text: &str) -> String {
    let printable = |c: char| {
        if c.is_control() {
            char::REPLACEMENT_CHARACTER
        } else {
            c
        }
    };
    let is_longer = text.chars().nth(EXCERPT_CHARS_MAX).is_some();
    if is_longer {
        let kept = text.chars().take(EXCERPT_CHARS_MAX - 1).map(printable);
        kept.chain(['…']).collect()
    } else {
        text.chars().map(printable).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn excerpts_are_short_and_printable() {
        let sixty = "é".repeat(60);
        for (text, expected) in [
            ("", String::new()),
            ("29,33", "29,33".to_owned()),
            ("a\u{0}b\nc\u{1b}", "a\u{fffd}b\u{fffd}c\u{fffd}".to_owned()),
            (sixty.as_str(), sixty.clone()),
            (&format!("{sixty}é"), format!("{}…", "é".repeat(59))),
        ] {
            assert_eq!(excerpt(text), expected);
        }
    }

    #[test]
    fn a_rejection_prints_its_sentence() {
        let rejection = Rejection::new("invalid_amount", "the amount is no number");
        let error: &dyn Error = &rejection;
        assert_eq!(error.to_string(), "the amount is no number");
    }
}
