//! What is refused in every type before its own rule reads the text.

use crate::NotAnIdentifier;

/// The most bytes of a text as it was sent: 200 characters of any script and some decoration.
const RAW_BYTES_MAX: usize = 1000;

/// What programs write for "nobody". One of these as an identifier would make one person of
/// everybody who has it. The UUID is the advertising id of a phone that refuses tracking.
const PLACEHOLDERS: [&str; 14] = [
    "",
    "null",
    "undefined",
    "none",
    "nil",
    "nan",
    "0",
    "-1",
    "anonymous",
    "guest",
    "[object object]",
    "true",
    "false",
    "00000000-0000-0000-0000-000000000000",
];

/// The trimmed text, unless nothing of any type could come of it.
pub(crate) fn screen(raw: &str) -> Result<&str, NotAnIdentifier> {
    if raw.len() > RAW_BYTES_MAX {
        return Err(NotAnIdentifier::TooLong);
    }
    if is_placeholder(raw) {
        return Err(NotAnIdentifier::Placeholder);
    }
    let text = raw.trim();
    if text.chars().any(char::is_control) {
        return Err(NotAnIdentifier::ControlCharacter);
    }
    Ok(text)
}

/// A character that a copied text can carry unseen: zero-width marks and the directions that
/// contact lists put around numbers.
pub(crate) fn is_invisible(character: char) -> bool {
    matches!(
        character,
        '\u{ad}'
            | '\u{200b}'
            | '\u{200e}'
            | '\u{200f}'
            | '\u{202a}'..='\u{202e}'
            | '\u{2060}'
            | '\u{2066}'..='\u{2069}'
            | '\u{feff}'
    )
}

fn is_placeholder(raw: &str) -> bool {
    let bare = raw.trim_matches(is_quote_or_space);
    PLACEHOLDERS
        .iter()
        .any(|placeholder| placeholder.eq_ignore_ascii_case(bare))
}

/// Quotes come doubled and escaped when a value was encoded more than once.
fn is_quote_or_space(character: char) -> bool {
    character.is_whitespace()
        || is_invisible(character)
        || matches!(
            character,
            '"' | '\'' | '`' | '\\' | '“' | '”' | '‘' | '’' | '«' | '»'
        )
}

#[cfg(test)]
mod tests {
    use common::IdentifierType;

    use super::*;
    use crate::normalize;

    #[test]
    fn placeholders_are_refused_for_every_type_in_any_case_and_quoted() {
        for raw in [
            "",
            " ",
            "\n",
            "\u{feff}",
            "null",
            "NULL",
            " Null ",
            "\"null\"",
            "'null'",
            "\"'null'\"",
            "\\\"null\\\"",
            "`undefined`",
            "“none”",
            "\"\"",
            "''",
            "Undefined",
            "None",
            "nil",
            "NaN",
            "0",
            "\"0\"",
            "-1",
            "Anonymous",
            "GUEST",
            "[object Object]",
            "True",
            "false",
            "00000000-0000-0000-0000-000000000000",
        ] {
            for kind in IdentifierType::ALL {
                let refused = normalize(kind, raw, "BR".parse().ok());
                assert_eq!(refused, Err(NotAnIdentifier::Placeholder), "{kind} {raw:?}");
            }
        }
    }

    #[test]
    fn texts_that_only_resemble_placeholders_pass() {
        for raw in ["nullable", "guest-1", "00", "1", "10", "nobody", "O'Neil"] {
            assert_eq!(screen(raw), Ok(raw));
        }
    }
}
