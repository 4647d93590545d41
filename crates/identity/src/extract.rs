//! Where an event shows identifiers.

mod places;

use common::{IdentifierType, ObservedIdentifier};
use serde_json::{Map, Value};

use crate::extract::places::{event_region, payload_places};
use crate::form::{Form, NAMES};
use crate::{NotAnIdentifier, RULE_VERSION, Region};

/// The most identifiers of one event; weaker ones beyond are left out with a warning.
pub const IDENTIFIERS_MAX: usize = 20;

/// The warning of an event with more than [`IDENTIFIERS_MAX`] identifiers.
pub const TOO_MANY_IDENTIFIERS: &str = "too_many_identifiers";

/// The warning of a value that is neither a text nor an integer.
pub const VALUE_IS_NOT_TEXT: &str = "identifier_is_not_text";

/// What [`extract`] found in one event.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Found {
    /// Usable identifiers, each once, strongest type first and in order of sight within a type.
    pub identifiers: Vec<ObservedIdentifier>,
    /// Why other values were skipped, each reason once.
    pub warnings: Vec<&'static str>,
}

/// Finds the identifiers of an event: in its `identifiers` first, then in the usual places of its
/// payload. A value that is none is skipped with a warning; it never fails the event.
///
/// Order of sight is the order of the names (`user_id`, `external_id`, `email`, `phone`,
/// `whatsapp`, `wa_id`, `anonymous_id`, `device_id`) in each place, and the places in turn:
/// `identifiers`, the payload (and its `from`), `customer`, `traits`, `user`, `context.traits`.
/// Names that are often the brand's id of a person, but not always (`customer_id`, and `id` in a
/// nested place), count only when no other gave a `user_id`: one event with two is a conflict.
pub fn extract(
    explicit: Option<&Map<String, Value>>,
    payload: &Map<String, Value>,
    default_region: Option<Region>,
) -> Found {
    let mut sight = Sight {
        region: event_region(payload).or(default_region),
        found: Found::default(),
    };
    if let Some(explicit) = explicit {
        sight.look_at_explicit(explicit);
    }
    let places = payload_places(payload);
    for place in &places {
        sight.look_at_names(place.object);
        if let Some(sender) = place.sender {
            sight.take_sender(sender);
        }
    }
    for place in &places {
        for name in place.fallback_ids {
            sight.look_at_fallback_id(place.object.get(*name));
        }
    }
    sight.into_found()
}

/// What has been seen so far of one event.
struct Sight {
    region: Option<Region>,
    found: Found,
}

impl Sight {
    /// Here a null is a mistake, and so is a name that is no identifier's, such as `session_id`.
    fn look_at_explicit(&mut self, explicit: &Map<String, Value>) {
        for (name, value) in explicit {
            if Form::named(name).is_none() {
                self.warn(NotAnIdentifier::UnknownIdentifierType.code());
            } else if value.is_null() {
                self.warn(NotAnIdentifier::Placeholder.code());
            }
        }
        self.look_at_names(explicit);
    }

    fn look_at_names(&mut self, place: &Map<String, Value>) {
        for (name, form) in NAMES {
            if let Some(value) = place.get(name) {
                self.take_value(form, value);
            }
        }
    }

    fn look_at_fallback_id(&mut self, value: Option<&Value>) {
        let is_known = |seen: &ObservedIdentifier| seen.identifier.kind == IdentifierType::UserId;
        if let Some(value) = value
            && !self.found.identifiers.iter().any(is_known)
        {
            self.take_value(Form::Plain(IdentifierType::UserId), value);
        }
    }

    fn take_value(&mut self, form: Form, value: &Value) {
        match value {
            Value::Null => {}
            Value::String(text) => self.take_text(form, text),
            Value::Number(number) if number.is_i64() || number.is_u64() => {
                self.take_text(form, &number.to_string());
            }
            Value::Bool(_) => self.warn(NotAnIdentifier::Placeholder.code()),
            Value::Number(_) | Value::Array(_) | Value::Object(_) => self.warn(VALUE_IS_NOT_TEXT),
        }
    }

    fn take_text(&mut self, form: Form, raw: &str) {
        match observe(form, raw, self.region) {
            Ok(observed) => self.keep(observed),
            Err(refusal) => self.warn(refusal.code()),
        }
    }

    /// A sender can be anything (an address, a shop, a date), so only a complete number counts
    /// and anything else is no mistake.
    fn take_sender(&mut self, raw: &str) {
        if let Ok(observed) = observe(Form::WhatsApp, raw, None) {
            self.keep(observed);
        }
    }

    fn keep(&mut self, observed: ObservedIdentifier) {
        let is_same = |seen: &ObservedIdentifier| seen.identifier == observed.identifier;
        if !self.found.identifiers.iter().any(is_same) {
            self.found.identifiers.push(observed);
        }
    }

    fn warn(&mut self, warning: &'static str) {
        if !self.found.warnings.contains(&warning) {
            self.found.warnings.push(warning);
        }
    }

    fn into_found(mut self) -> Found {
        // Stable: within one type the order of sight stays.
        self.found
            .identifiers
            .sort_by_key(|seen| seen.identifier.kind);
        if self.found.identifiers.len() > IDENTIFIERS_MAX {
            self.found.identifiers.truncate(IDENTIFIERS_MAX);
            self.warn(TOO_MANY_IDENTIFIERS);
        }
        self.found
    }
}

fn observe(
    form: Form,
    raw: &str,
    region: Option<Region>,
) -> Result<ObservedIdentifier, NotAnIdentifier> {
    Ok(ObservedIdentifier {
        identifier: form.read(raw, region)?,
        raw: raw.to_owned(),
        rule_version: RULE_VERSION,
    })
}

#[cfg(test)]
mod tests;
