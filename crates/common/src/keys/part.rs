//! The grammar that all keys share.

use std::borrow::Cow;

/// A text that is not a key of the type asked for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a key of the form {0}")]
pub struct InvalidKey(pub &'static str);

/// Writes a value so that it cannot be taken for a piece of the key around it.
pub(super) fn escape(value: &str) -> Cow<'_, str> {
    if !value.contains(['%', ':', '{', '}']) {
        return Cow::Borrowed(value);
    }
    let mut escaped = String::with_capacity(value.len() + 8);
    for character in value.chars() {
        match character {
            '%' => escaped.push_str("%25"),
            ':' => escaped.push_str("%3A"),
            '{' => escaped.push_str("%7B"),
            '}' => escaped.push_str("%7D"),
            other => escaped.push(other),
        }
    }
    Cow::Owned(escaped)
}

/// Reads what [`escape`] wrote; nothing else.
pub(super) fn unescape(text: &str) -> Option<String> {
    let mut value = String::with_capacity(text.len());
    let mut pieces = text.split('%');
    value.push_str(pieces.next()?);
    for piece in pieces {
        let (code, rest) = piece.split_at_checked(2)?;
        value.push(match code {
            "25" => '%',
            "3A" => ':',
            "7B" => '{',
            "7D" => '}',
            _ => return None,
        });
        value.push_str(rest);
    }
    let canonical = !text.contains([':', '{', '}']);
    canonical.then_some(value)
}

/// Declares a key: a prefix, values separated by colons, and perhaps a suffix.
macro_rules! key {
    ($(#[$doc:meta])* $name:ident = $form:literal { $($(#[$field_doc:meta])* $field:ident: $kind:ty),* } $prefix:literal $(, $suffix:literal)?) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Hash)]
        pub struct $name { $($(#[$field_doc])* pub $field: $kind),* }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str($prefix)?;
                $(
                    f.write_str(":")?;
                    f.write_str(&$crate::keys::part::escape(&self.$field.to_string()))?;
                )*
                $(f.write_str($suffix)?;)?
                Ok(())
            }
        }

        impl std::str::FromStr for $name {
            type Err = $crate::keys::InvalidKey;

            fn from_str(text: &str) -> Result<Self, $crate::keys::InvalidKey> {
                let parse = || {
                    let rest = text.strip_prefix($prefix)?;
                    $(let rest = rest.strip_suffix($suffix)?;)?
                    let mut parts = rest.split(':');
                    (parts.next() == Some("")).then_some(())?;
                    let key = Self {
                        $($field: $crate::keys::part::unescape(parts.next()?)?.parse().ok()?,)*
                    };
                    parts.next().is_none().then_some(key)
                };
                parse().ok_or($crate::keys::InvalidKey($form))
            }
        }
    };
    ($(#[$doc:meta])* $name:ident = $form:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub struct $name;

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str($form)
            }
        }

        impl std::str::FromStr for $name {
            type Err = $crate::keys::InvalidKey;

            fn from_str(text: &str) -> Result<Self, $crate::keys::InvalidKey> {
                if text == $form { Ok(Self) } else { Err($crate::keys::InvalidKey($form)) }
            }
        }
    };
}
pub(super) use key;
