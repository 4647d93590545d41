//! Why a text names nobody.

use common::InvalidText;

/// A text that is not an identifier. The event that shows it is kept; this value is skipped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotAnIdentifier {
    /// What programs write when they do not know who it is: `null`, `0`, nothing at all.
    #[error("is a placeholder")]
    Placeholder,
    /// Over 200 characters in its normal form, or over 1000 bytes as it was sent.
    #[error("is too long")]
    TooLong,
    /// Contains a control character, which not every store can keep.
    #[error("contains a control character")]
    ControlCharacter,
    /// Not an e-mail address with a registrable domain.
    #[error("is not an e-mail address")]
    InvalidEmail,
    /// Not a number that a numbering plan assigns: a short code, too long, or other text.
    #[error("is not a phone number")]
    InvalidPhone,
    /// A number without `+` when neither the event nor the brand names a country.
    #[error("is a phone number without a country; write it with + or give a region")]
    PhoneWithoutCountry,
    /// A type that is none of an event's `identifiers`.
    #[error(
        "has an unknown type; known are user_id, external_id, email, phone, whatsapp, wa_id, \
         anonymous_id and device_id"
    )]
    UnknownIdentifierType,
}

impl NotAnIdentifier {
    /// The warning's name on the wire: stable, for machines.
    pub fn code(self) -> &'static str {
        match self {
            Self::Placeholder => "placeholder_identifier",
            Self::TooLong => "identifier_too_long",
            Self::ControlCharacter => "control_character",
            Self::InvalidEmail => "invalid_email",
            Self::InvalidPhone => "invalid_phone",
            Self::PhoneWithoutCountry => "phone_without_country",
            Self::UnknownIdentifierType => "unknown_identifier_type",
        }
    }
}

impl From<InvalidText> for NotAnIdentifier {
    fn from(invalid: InvalidText) -> Self {
        match invalid {
            InvalidText::Empty => Self::Placeholder,
            InvalidText::TooLong => Self::TooLong,
            InvalidText::ControlCharacter => Self::ControlCharacter,
        }
    }
}
