//! Ids and the limits of the texts that users give us as ids.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// The most characters any id, brand or event type may have.
pub const ID_CHARS_MAX: usize = 200;

/// The name space of every name-based UUID of Millrace. Never changes: profile ids depend on it.
const NAMESPACE: Uuid = Uuid::from_u128(0x6d69_6c6c_7261_4365_8000_6576_656e_7473);

/// Separates the parts of a name-based UUID; control characters are refused in the parts.
const PART_SEPARATOR: &str = "\u{1f}";

/// A text that cannot be an id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidText {
    /// Nothing, or white space only.
    #[error("is empty")]
    Empty,
    /// More than [`ID_CHARS_MAX`] characters.
    #[error("is longer than {ID_CHARS_MAX} characters")]
    TooLong,
    /// Contains NUL or another control character, which not every store can keep.
    #[error("contains a control character")]
    ControlCharacter,
}

/// Checks the limits that every id shares: 1 to [`ID_CHARS_MAX`] characters, none of them control.
pub fn check_text(text: &str) -> Result<(), InvalidText> {
    if text.trim().is_empty() {
        return Err(InvalidText::Empty);
    }
    if text.len() > ID_CHARS_MAX && text.chars().count() > ID_CHARS_MAX {
        return Err(InvalidText::TooLong);
    }
    if text.chars().any(char::is_control) {
        return Err(InvalidText::ControlCharacter);
    }
    Ok(())
}

fn name_based(parts: &[&str]) -> Uuid {
    Uuid::new_v5(&NAMESPACE, parts.join(PART_SEPARATOR).as_bytes())
}

macro_rules! text_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
        #[serde(transparent)]
        pub struct $name(String);

        impl $name {
            /// Takes a text of 1 to [`ID_CHARS_MAX`] characters without control characters.
            pub fn new(text: impl Into<String>) -> Result<Self, InvalidText> {
                let text = text.into();
                check_text(&text)?;
                Ok(Self(text))
            }

            /// The text as it was given.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl FromStr for $name {
            type Err = InvalidText;

            fn from_str(text: &str) -> Result<Self, InvalidText> {
                Self::new(text)
            }
        }
    };
}

text_id! {
    /// A brand: the tenant that events, profiles and analytics belong to.
    BrandId
}
text_id! {
    /// What happened, such as `purchase`, `page_view`, `whatsapp_message` or any other name.
    EventType
}
text_id! {
    /// An agent whom feedback is about.
    AgentId
}

/// The natural id of a written answer without an id of its own: one for each message.
pub fn reply_id(message_id: &str) -> String {
    name_based(&["feedback", "reply", message_id]).to_string()
}

/// The natural id of a reaction without an id of its own: one for each message, user and reaction.
pub fn reaction_id(message_id: &str, user_id: &str, reaction: &str) -> String {
    name_based(&["feedback", "reaction", message_id, user_id, reaction]).to_string()
}

/// The id of the event that tells of a feedback document: the same for the same document.
pub fn feedback_event_id(feedback_id: &str) -> Uuid {
    name_based(&["feedback.created", feedback_id])
}

/// The id of an element of an agent's batch that is no item: the same for the same element.
pub fn feedback_element_id(agent_id: &AgentId, element: &str) -> Uuid {
    name_based(&["feedback.element", agent_id.as_str(), element])
}

macro_rules! uuid_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub Uuid);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl FromStr for $name {
            type Err = uuid::Error;

            fn from_str(text: &str) -> Result<Self, uuid::Error> {
                text.parse().map(Self)
            }
        }
    };
}

uuid_id! {
    /// One event, as every later stage knows it.
    EventId
}
uuid_id! {
    /// An origin (the first sight of an identifier), and a person, who is named by one of them.
    ProfileId
}

impl EventId {
    /// The id of an event whose sender's id is no UUID: the same text of the same brand always
    /// gives the same id.
    pub fn of_text(brand: &BrandId, text: &str) -> Self {
        Self(name_based(&["event", brand.as_str(), text]))
    }
}

impl ProfileId {
    /// The origin of an identifier: two workers that race to create it create the same one.
    pub fn of_identifier(brand: &BrandId, identifier: &Identifier) -> Self {
        let kind = identifier.kind.as_str();
        Self(name_based(&[
            "profile",
            brand.as_str(),
            kind,
            &identifier.value,
        ]))
    }
}

/// The kinds of identifiers, strongest first: the order is the priority of attribution.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum IdentifierType {
    /// The brand's own id of a person (external id).
    UserId,
    /// An e-mail address.
    Email,
    /// A telephone or WhatsApp number, E.164.
    Phone,
    /// A browser's or app's id before login.
    AnonymousId,
    /// A device's id.
    DeviceId,
}

impl IdentifierType {
    /// Every type, strongest first.
    pub const ALL: [Self; 5] = [
        Self::UserId,
        Self::Email,
        Self::Phone,
        Self::AnonymousId,
        Self::DeviceId,
    ];

    /// The name on the wire and in the stores.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::UserId => "user_id",
            Self::Email => "email",
            Self::Phone => "phone",
            Self::AnonymousId => "anonymous_id",
            Self::DeviceId => "device_id",
        }
    }

    /// Whether it names a person rather than a browser or device.
    pub fn is_strong(self) -> bool {
        matches!(self, Self::UserId | Self::Email | Self::Phone)
    }
}

impl fmt::Display for IdentifierType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A text that names no identifier type.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown identifier type; known are user_id, email, phone, anonymous_id and device_id")]
pub struct UnknownIdentifierType;

impl FromStr for IdentifierType {
    type Err = UnknownIdentifierType;

    fn from_str(text: &str) -> Result<Self, UnknownIdentifierType> {
        Self::ALL
            .into_iter()
            .find(|kind| kind.as_str() == text)
            .ok_or(UnknownIdentifierType)
    }
}

/// An identifier in its normal form. Within a brand it belongs to one origin for ever.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Identifier {
    /// What kind of value it is.
    #[serde(rename = "type")]
    pub kind: IdentifierType,
    /// The value in its normal form.
    pub value: String,
}

impl fmt::Display for Identifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.kind, self.value)
    }
}

/// An identifier as an event showed it, with the rules that made its normal form.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ObservedIdentifier {
    /// The normal form.
    #[serde(flatten)]
    pub identifier: Identifier,
    /// The text as the sender wrote it.
    pub raw: String,
    /// The version of the normalisation rules.
    pub rule_version: u32,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_that_no_store_could_keep_are_refused() {
        let at_the_limit = "é".repeat(ID_CHARS_MAX);
        for (text, expected) in [
            ("shop-1", Ok(())),
            (at_the_limit.as_str(), Ok(())),
            ("", Err(InvalidText::Empty)),
            (" \t", Err(InvalidText::Empty)),
            ("a\0b", Err(InvalidText::ControlCharacter)),
            (&"x".repeat(ID_CHARS_MAX + 1), Err(InvalidText::TooLong)),
        ] {
            assert_eq!(check_text(text), expected, "{text:?}");
        }
    }

    #[test]
    fn name_based_ids_depend_on_every_part_and_never_change() {
        let brand = BrandId::new("acme").expect("valid");
        let email = Identifier {
            kind: IdentifierType::Email,
            value: "ann@example.com".to_owned(),
        };
        let id = ProfileId::of_identifier(&brand, &email);
        assert_eq!(id.to_string(), "15264797-e80b-55ae-b598-bc888818abf5");
        let other = Identifier {
            kind: IdentifierType::UserId,
            ..email
        };
        assert_ne!(ProfileId::of_identifier(&brand, &other), id);
        assert_ne!(EventId::of_text(&brand, "1"), EventId::of_text(&brand, "2"));
    }

    #[test]
    fn identifier_types_read_back_and_strong_ones_come_first() {
        for kind in IdentifierType::ALL {
            assert_eq!(kind.as_str().parse(), Ok(kind));
        }
        assert!(IdentifierType::ALL.is_sorted());
        assert!("session_id".parse::<IdentifierType>().is_err());
    }
}
