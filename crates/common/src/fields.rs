//! Messages as the bus carries them: a list of named texts.

use std::borrow::Cow;

use uuid::Uuid;

use crate::ids::{BrandId, EventId, EventType, ProfileId};
use crate::time::UnixMillis;

/// The fields of one stream entry as they came off the wire, in their order. Names and values are
/// bytes: anybody can write anything into a stream.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RawFields(pub Vec<RawField>);

/// The name and the value of one field, as bytes.
pub type RawField = (Vec<u8>, Vec<u8>);

/// The name and the value of one field, as texts.
pub type TextField = (String, String);

/// Receives the fields of a message in wire order.
pub trait FieldSink {
    /// Takes one field.
    fn field(&mut self, name: &str, value: &str);
}

/// A type that travels on the bus. `decode` after `encode` gives the same value, and fields that
/// the type does not know are kept and written again.
pub trait Message: Sized + Send + Sync + 'static {
    /// Writes every field in wire order, unknown ones last.
    fn encode(&self, sink: &mut dyn FieldSink);

    /// Reads a message; fields may come in any order.
    fn decode(fields: RawFields) -> Result<Self, DecodeError>;
}

/// The most fields that a message may have, unknown ones included. The bus can write so many in one
/// step, whatever it adds to them.
pub const FIELDS_MAX: usize = 1_000;

/// A stream entry that is not a message of its topic. It never becomes one by waiting.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// There are more than [`FIELDS_MAX`] fields.
    #[error("there are {0} fields, more than {FIELDS_MAX}")]
    TooMany(usize),
    /// A required field is not there.
    #[error("field {0} is missing")]
    Missing(&'static str),
    /// A field's bytes are not UTF-8.
    #[error("field {0} is not UTF-8")]
    NotUtf8(String),
    /// A field's text is not a value of its type.
    #[error("field {field} {detail}")]
    Invalid {
        /// The field's name.
        field: &'static str,
        /// What is wrong with it, as the end of a sentence.
        detail: String,
    },
}

impl RawFields {
    /// Takes a field out, if it is there.
    pub fn take(&mut self, name: &'static str) -> Result<Option<String>, DecodeError> {
        let Some(at) = self
            .0
            .iter()
            .position(|(known, _)| known == name.as_bytes())
        else {
            return Ok(None);
        };
        let (_, value) = self.0.remove(at);
        let text = String::from_utf8(value).map_err(|_| DecodeError::NotUtf8(name.to_owned()))?;
        Ok(Some(text))
    }

    /// What is left, as texts.
    pub fn into_texts(self) -> Result<Vec<TextField>, DecodeError> {
        self.0.into_iter().map(text_pair).collect()
    }

    /// A copy of the fields of a message.
    pub fn of<M: Message>(message: &M) -> Self {
        let mut fields = Self::default();
        message.encode(&mut fields);
        fields
    }
}

impl FieldSink for RawFields {
    fn field(&mut self, name: &str, value: &str) {
        self.0
            .push((name.as_bytes().to_vec(), value.as_bytes().to_vec()));
    }
}

fn text_pair((name, value): RawField) -> Result<TextField, DecodeError> {
    let name = String::from_utf8(name)
        .map_err(|error| DecodeError::NotUtf8(String::from_utf8_lossy(error.as_bytes()).into()))?;
    match String::from_utf8(value) {
        Ok(value) => Ok((name, value)),
        Err(_) => Err(DecodeError::NotUtf8(name)),
    }
}

/// A value that has one text form on the wire.
pub trait FieldValue: Sized {
    /// The text that is written.
    fn to_field(&self) -> Cow<'_, str>;

    /// The value of a text, or what is wrong with it as the end of a sentence.
    fn from_field(text: String) -> Result<Self, String>;
}

impl FieldValue for String {
    fn to_field(&self) -> Cow<'_, str> {
        Cow::Borrowed(self)
    }

    fn from_field(text: String) -> Result<Self, String> {
        Ok(text)
    }
}

impl FieldValue for bool {
    fn to_field(&self) -> Cow<'_, str> {
        Cow::Borrowed(if *self { "true" } else { "false" })
    }

    fn from_field(text: String) -> Result<Self, String> {
        match text.as_str() {
            "true" => Ok(true),
            "false" => Ok(false),
            _ => Err("is neither true nor false".to_owned()),
        }
    }
}

/// An absent value is written as an empty text.
impl<T: FieldValue> FieldValue for Option<T> {
    fn to_field(&self) -> Cow<'_, str> {
        self.as_ref()
            .map_or(Cow::Borrowed(""), FieldValue::to_field)
    }

    fn from_field(text: String) -> Result<Self, String> {
        if text.is_empty() {
            Ok(None)
        } else {
            T::from_field(text).map(Some)
        }
    }
}

macro_rules! text_field_value {
    ($($name:ty),*) => {$(
        impl FieldValue for $name {
            fn to_field(&self) -> Cow<'_, str> {
                Cow::Borrowed(self.as_str())
            }

            fn from_field(text: String) -> Result<Self, String> {
                Self::new(text).map_err(|error| error.to_string())
            }
        }
    )*};
}

text_field_value!(BrandId, EventType);

macro_rules! printed_field_value {
    ($($name:ty => $detail:literal),*) => {$(
        impl FieldValue for $name {
            fn to_field(&self) -> Cow<'_, str> {
                Cow::Owned(self.to_string())
            }

            fn from_field(text: String) -> Result<Self, String> {
                text.parse().map_err(|_| $detail.to_owned())
            }
        }
    )*};
}

printed_field_value!(
    Uuid => "is not a UUID",
    EventId => "is not a UUID",
    ProfileId => "is not a UUID",
    UnixMillis => "is not an RFC 3339 time stamp",
    u32 => "is not a whole number"
);

/// A text that holds JSON. Whether it does is for the reader to find out: it is carried, not read.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct JsonText(pub String);

impl FieldValue for JsonText {
    fn to_field(&self) -> Cow<'_, str> {
        Cow::Borrowed(&self.0)
    }

    fn from_field(text: String) -> Result<Self, String> {
        Ok(Self(text))
    }
}

/// Declares a message: its required fields in wire order, then the optional ones, which are left
/// out of the wire when absent. Every message also keeps the fields it does not know in `extra`.
macro_rules! message {
    (
        $(#[$doc:meta])*
        $name:ident {
            $($(#[$field_doc:meta])* $field:ident = $wire:literal: $kind:ty,)*
        } $(optional {
            $($(#[$optional_doc:meta])* $optional:ident = $optional_wire:literal: $optional_kind:ty,)*
        })?
    ) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub struct $name {
            $($(#[$field_doc])* pub $field: $kind,)*
            $($($(#[$optional_doc])* pub $optional: Option<$optional_kind>,)*)?
            /// Fields that this version does not know, kept and passed on.
            pub extra: Vec<$crate::fields::TextField>,
        }

        impl $name {
            /// The names of the fields that this type knows.
            pub const FIELDS: &'static [&'static str] = &[$($wire,)* $($($optional_wire,)*)?];
        }

        impl $crate::fields::Message for $name {
            fn encode(&self, sink: &mut dyn $crate::fields::FieldSink) {
                use $crate::fields::FieldValue as _;
                $(sink.field($wire, &self.$field.to_field());)*
                $($(if let Some(value) = &self.$optional {
                    sink.field($optional_wire, &value.to_field());
                })*)?
                for (name, value) in &self.extra {
                    sink.field(name, value);
                }
            }

            fn decode(
                mut fields: $crate::fields::RawFields,
            ) -> Result<Self, $crate::fields::DecodeError> {
                if fields.0.len() > $crate::fields::FIELDS_MAX {
                    return Err($crate::fields::DecodeError::TooMany(fields.0.len()));
                }
                Ok(Self {
                    $($field: $crate::fields::required(&mut fields, $wire)?,)*
                    $($($optional: $crate::fields::optional(&mut fields, $optional_wire)?,)*)?
                    extra: fields.into_texts()?,
                })
            }
        }
    };
}
pub(crate) use message;

pub(crate) fn required<T: FieldValue>(
    fields: &mut RawFields,
    name: &'static str,
) -> Result<T, DecodeError> {
    optional(fields, name)?.ok_or(DecodeError::Missing(name))
}

pub(crate) fn optional<T: FieldValue>(
    fields: &mut RawFields,
    name: &'static str,
) -> Result<Option<T>, DecodeError> {
    let Some(text) = fields.take(name)? else {
        return Ok(None);
    };
    let value = T::from_field(text).map_err(|detail| DecodeError::Invalid {
        field: name,
        detail,
    })?;
    Ok(Some(value))
}

/// Declares an enumeration whose values have fixed names on the wire.
macro_rules! wire_enum {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $wire:literal,)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum $name { $($(#[$variant_doc])* $variant,)* }

        impl $name {
            /// The name on the wire.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $wire,)* }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl $crate::fields::FieldValue for $name {
            fn to_field(&self) -> std::borrow::Cow<'_, str> {
                std::borrow::Cow::Borrowed(self.as_str())
            }

            fn from_field(text: String) -> Result<Self, String> {
                match text.as_str() {
                    $($wire => Ok(Self::$variant),)*
                    _ => Err(concat!("is none of", $(" ", $wire),*).to_owned()),
                }
            }
        }
    };
}
pub(crate) use wire_enum;
