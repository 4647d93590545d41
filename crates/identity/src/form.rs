//! The names that identifiers have in events, and the rule that reads each.

use common::ids::check_text;
use common::{Identifier, IdentifierType};

use crate::screen::screen;
use crate::{NotAnIdentifier, Region, email, phone};

/// How a text is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// As the rule of its type says.
    Plain(IdentifierType),
    /// A phone number as WhatsApp writes it, where bare digits are E.164 without `+`.
    WhatsApp,
}

/// Every name that an identifier has in `identifiers` or in a payload, in the order of sight.
/// `session_id` is no name: a session is not a person.
pub(crate) const NAMES: [(&str, Form); 8] = [
    ("user_id", Form::Plain(IdentifierType::UserId)),
    ("external_id", Form::Plain(IdentifierType::UserId)),
    ("email", Form::Plain(IdentifierType::Email)),
    ("phone", Form::Plain(IdentifierType::Phone)),
    ("whatsapp", Form::WhatsApp),
    ("wa_id", Form::WhatsApp),
    ("anonymous_id", Form::Plain(IdentifierType::AnonymousId)),
    ("device_id", Form::Plain(IdentifierType::DeviceId)),
];

impl Form {
    /// The form of a name of [`NAMES`].
    pub(crate) fn named(name: &str) -> Option<Self> {
        NAMES
            .iter()
            .find(|(known, _)| *known == name)
            .map(|(_, form)| *form)
    }

    /// The identifier that a text in this form names.
    pub(crate) fn read(
        self,
        raw: &str,
        region: Option<Region>,
    ) -> Result<Identifier, NotAnIdentifier> {
        let text = screen(raw)?;
        let (kind, value) = match self {
            Self::WhatsApp => (IdentifierType::Phone, phone::whatsapp(text, region)?),
            Self::Plain(kind) => (kind, plain(kind, text, region)?),
        };
        check_text(&value)?;
        Ok(Identifier { kind, value })
    }
}

fn plain(
    kind: IdentifierType,
    text: &str,
    region: Option<Region>,
) -> Result<String, NotAnIdentifier> {
    match kind {
        IdentifierType::Email => email::normal_form(text),
        IdentifierType::Phone => phone::normal_form(text, region),
        IdentifierType::UserId | IdentifierType::AnonymousId | IdentifierType::DeviceId => {
            Ok(text.to_owned())
        }
    }
}
