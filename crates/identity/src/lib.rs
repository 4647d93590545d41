//! What an identifier is: the normal form of each type, and where an event shows them.
//!
//! Pure rules: no I/O, no clock, no runtime. Two texts name the same identifier exactly when
//! their normal forms are equal, and normalising a normal form gives itself. A change that gives
//! any text another normal form raises [`RULE_VERSION`], which travels with every observation.

mod email;
mod extract;
mod form;
mod phone;
mod refusal;
mod region;
mod screen;

pub use extract::{Found, IDENTIFIERS_MAX, TOO_MANY_IDENTIFIERS, VALUE_IS_NOT_TEXT, extract};
pub use refusal::NotAnIdentifier;
pub use region::{Region, UnknownRegion};

use common::{Identifier, IdentifierType};

use crate::form::Form;

/// The version of every rule of this crate.
pub const RULE_VERSION: u32 = 1;

/// The normal form of a text; `region` reads phone numbers that have no `+`.
pub fn normalize(
    kind: IdentifierType,
    raw: &str,
    region: Option<Region>,
) -> Result<Identifier, NotAnIdentifier> {
    Form::Plain(kind).read(raw, region)
}

/// Reads `type:value`, such as `email:Ann@example.com` or `wa_id:5511987654321`, as people write
/// it on a command line. Types are those of an event's `identifiers`.
pub fn parse(text: &str, region: Option<Region>) -> Result<Identifier, NotAnIdentifier> {
    let (name, value) = text
        .split_once(':')
        .ok_or(NotAnIdentifier::UnknownIdentifierType)?;
    let form = Form::named(name.trim()).ok_or(NotAnIdentifier::UnknownIdentifierType)?;
    form.read(value, region)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_type_and_a_value_read_as_an_identifier() {
        for (text, expected) in [
            ("email:Ann@Example.com", Ok("email:ann@example.com")),
            ("email:mailto:ann@example.com", Ok("email:ann@example.com")),
            ("phone:11 98765-4321", Ok("phone:+5511987654321")),
            ("wa_id:14155552671", Ok("phone:+14155552671")),
            ("whatsapp:+1 415 555 2671", Ok("phone:+14155552671")),
            ("external_id:A:1", Ok("user_id:A:1")),
            (" user_id : A-1 ", Ok("user_id:A-1")),
            ("device_id:d", Ok("device_id:d")),
            ("anonymous_id:x", Ok("anonymous_id:x")),
            ("session_id:x", Err("unknown_identifier_type")),
            ("ann@example.com", Err("unknown_identifier_type")),
            ("user_id:null", Err("placeholder_identifier")),
        ] {
            let region = "BR".parse().ok();
            let read = parse(text, region).map(|identifier| identifier.to_string());
            let read = read.as_deref().map_err(|refusal| refusal.code());
            assert_eq!(read, expected, "{text}");
        }
    }

    #[test]
    fn ids_are_trimmed_and_keep_their_case() {
        let long = "é".repeat(200);
        for kind in [
            IdentifierType::UserId,
            IdentifierType::AnonymousId,
            IdentifierType::DeviceId,
        ] {
            for (raw, expected) in [
                (" Ann-42 ", Ok("Ann-42")),
                ("\tx\n", Ok("x")),
                ("10", Ok("10")),
                ("null-island", Ok("null-island")),
                (&long, Ok(long.as_str())),
                (&format!("{long}x"), Err("identifier_too_long")),
                (&" ".repeat(2_000), Err("identifier_too_long")),
                ("a\0b", Err("control_character")),
                ("a\nb", Err("control_character")),
                ("None", Err("placeholder_identifier")),
            ] {
                let read = normalize(kind, raw, None).map(|identifier| identifier.value);
                let read = read.as_deref().map_err(|refusal| refusal.code());
                assert_eq!(read, expected, "{kind} {raw:?}");
            }
        }
    }

    #[test]
    fn an_address_that_mail_allows_and_the_stores_do_not_is_too_long() {
        let domain = format!(
            "{}.{}.{}.org",
            "a".repeat(60),
            "b".repeat(60),
            "c".repeat(60)
        );
        let read = normalize(
            IdentifierType::Email,
            &format!("annabel-lee@{domain}"),
            None,
        );
        assert_eq!(
            read,
            Ok(Identifier {
                kind: IdentifierType::Email,
                value: format!("annabel-lee@{domain}"),
            })
        );
        let read = normalize(
            IdentifierType::Email,
            &format!("annabel-lee-poe@{domain}"),
            None,
        );
        assert_eq!(read, Err(NotAnIdentifier::TooLong));
    }

    fn is_settled(kind: IdentifierType, raw: &str, region: Option<Region>) {
        if let Ok(once) = normalize(kind, raw, region) {
            assert_eq!(common::ids::check_text(&once.value), Ok(()), "{raw:?}");
            let twice = normalize(kind, &once.value, None);
            assert_eq!(twice.as_ref(), Ok(&once), "{raw:?}");
        }
    }

    proptest! {
        #[test]
        fn the_normal_form_of_a_normal_form_is_itself(raw in any::<String>()) {
            for kind in IdentifierType::ALL {
                is_settled(kind, &raw, "BR".parse().ok());
            }
        }

        #[test]
        fn email_like_texts_settle_at_once(
            raw in "( |mailto:|Ann <)?[\\PC]{1,8}[.+]?\\w{0,4}[@＠](\\w{1,6}[.。]){1,2}[a-zA-Zé中]{1,4}[.> ]?",
        ) {
            is_settled(IdentifierType::Email, &raw, None);
        }

        #[test]
        fn phone_like_texts_settle_at_once(
            raw in "[+0(]{0,2}(1|7|39|44|49|52|521|54|549|55|375|971)?[) -]?[0-9]{7,11}",
            region in prop::sample::select(vec!["AR", "BR", "MX", "US", "RU", "IT", "BY", "DE"]),
        ) {
            is_settled(IdentifierType::Phone, &raw, region.parse().ok());
        }
    }
}
