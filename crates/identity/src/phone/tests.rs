use phonenumber::metadata::DATABASE;

use super::*;

fn check(region: Option<&str>, cases: &[(&str, Option<&str>)]) {
    let region = region.map(|code| code.parse::<Region>().expect("a region"));
    for (raw, expected) in cases {
        let found = normal_form(raw, region).ok();
        assert_eq!(found.as_deref(), *expected, "{raw:?} in {region:?}");
    }
}

#[test]
fn numbers_with_a_plus_need_no_country() {
    check(
        None,
        &[
            ("+14155552671", Some("+14155552671")),
            ("+1 (415) 555-2671", Some("+14155552671")),
            ("(+1) 415.555.2671", Some("+14155552671")),
            ("tel:+1-415-555-2671", Some("+14155552671")),
            ("WhatsApp:+14155552671", Some("+14155552671")),
            ("＋１４１５５５５２６７１", Some("+14155552671")),
            ("+١٤١٥٥٥٥٢٦٧١", Some("+14155552671")),
            (
                "\u{202a}+1\u{a0}415\u{2011}555\u{2013}2671\u{202c}",
                Some("+14155552671"),
            ),
            ("+44 (0)20 7946 0958", Some("+442079460958")),
            ("+39 06 698 12345", Some("+390669812345")),
            ("+49 30 123456", Some("+4930123456")),
            ("+7 800 555 35 35", Some("+78005553535")),
            ("+971 50 123 4567", Some("+971501234567")),
            ("+91 98765 43210", Some("+919876543210")),
        ],
    );
}

#[test]
fn numbers_without_a_plus_are_read_by_the_rules_of_the_country() {
    check(
        Some("BR"),
        &[
            ("11 98765-4321", Some("+5511987654321")),
            ("(011) 98765-4321", Some("+5511987654321")),
            ("0 15 11 98765 4321", Some("+5511987654321")),
            ("5511987654321", Some("+5511987654321")),
            ("0055 11 98765-4321", Some("+5511987654321")),
            ("00 15 1 415 555 2671", Some("+14155552671")),
            ("+14155552671", Some("+14155552671")),
        ],
    );
    check(
        Some("us"),
        &[
            ("415-555-2671", Some("+14155552671")),
            ("1 415 555 2671", Some("+14155552671")),
            ("011 55 11 98765 4321", Some("+5511987654321")),
            ("+55 11 98765 4321", Some("+5511987654321")),
        ],
    );
    check(Some("RU"), &[("8 800 555 35 35", Some("+78005553535"))]);
    check(Some("GB"), &[("020 7946 0958", Some("+442079460958"))]);
    check(Some("IT"), &[("06 698 12345", Some("+390669812345"))]);
    check(Some("DE"), &[("030/123456", Some("+4930123456"))]);
    check(Some("AR"), &[("011 15 2345-6789", Some("+541123456789"))]);
    assert_eq!(
        normal_form("415-555-2671", None),
        Err(NotAnIdentifier::PhoneWithoutCountry)
    );
}

#[test]
fn both_forms_of_one_line_are_one_number() {
    check(
        None,
        &[
            ("+55 11 8765-4321", Some("+5511987654321")),
            ("+55 11 98765-4321", Some("+5511987654321")),
            ("+55 (0) 11 8765-4321", Some("+5511987654321")),
            ("+55 21 7865-4321", Some("+5521978654321")),
            ("+55 11 3265-4321", Some("+551132654321")),
            ("+52 1 55 1234 5678", Some("+525512345678")),
            ("+52 55 1234 5678", Some("+525512345678")),
            ("+52 1 33 3456 7890", Some("+523334567890")),
            ("+54 9 11 2345-6789", Some("+541123456789")),
            ("+54 11 2345-6789", Some("+541123456789")),
            ("+54 11 15 2345-6789", Some("+541123456789")),
            ("+54 9 351 612-3456", Some("+543516123456")),
        ],
    );
    check(
        Some("BR"),
        &[
            ("11 8765-4321", Some("+5511987654321")),
            ("011 8765-4321", Some("+5511987654321")),
            ("551187654321", Some("+5511987654321")),
        ],
    );
    check(
        Some("MX"),
        &[
            ("55 1234 5678", Some("+525512345678")),
            ("1 55 1234 5678", Some("+525512345678")),
            ("521 55 1234 5678", Some("+525512345678")),
        ],
    );
    check(
        Some("AR"),
        &[
            ("11 2345-6789", Some("+541123456789")),
            ("9 11 2345-6789", Some("+541123456789")),
            ("549 11 2345 6789", Some("+541123456789")),
        ],
    );
}

#[test]
fn short_codes_and_other_texts_are_no_phone_numbers() {
    let refused = [
        "12345",
        "190",
        "*144#",
        "4004",
        "+1 415 555",
        "+1 415 555 26711",
        "+1 000 000 0000",
        "+999 123 456 789",
        "+97233142764978",
        "+0 11 98765 4321",
        "1-800-FLOWERS",
        "+1 415 555 2671 ext 5",
        "+1 415 555 2671 / 2672",
        "+1 415+555 2671",
        "ann@example.com",
        "US.13491208655302741918",
        "120363012345678901@g.us",
        "99999999999999999999",
        "+",
        "-",
        "é",
    ];
    for region in [None, Some("US"), Some("BR")] {
        check(region, &refused.map(|raw| (raw, None)));
    }
}

#[test]
fn a_whatsapp_id_is_e164_without_its_plus() {
    let region = "US".parse().ok();
    for (raw, expected) in [
        ("5511987654321", Some("+5511987654321")),
        ("551187654321", Some("+5511987654321")),
        ("5215512345678", Some("+525512345678")),
        ("5491123456789", Some("+541123456789")),
        ("14155552671", Some("+14155552671")),
        ("+14155552671", Some("+14155552671")),
        ("whatsapp:+14155552671", Some("+14155552671")),
        ("415-555-2671", Some("+14155552671")),
        ("4155552671", None),
    ] {
        assert_eq!(whatsapp(raw, region).ok().as_deref(), expected, "{raw}");
    }
}

/// Every kind of number of every country, as the plans give it for example.
fn examples() -> impl Iterator<Item = (&'static str, u16, &'static str)> {
    DATABASE.iter().flat_map(|plan| {
        let kinds = plan.descriptors();
        let kinds = [kinds.mobile(), kinds.fixed_line(), kinds.toll_free()];
        let examples = kinds
            .into_iter()
            .flatten()
            .filter_map(|kind| kind.example());
        examples.map(|example| (plan.id(), plan.country_code(), example))
    })
}

#[test]
fn the_example_numbers_of_every_plan_are_their_own_normal_form() {
    for (id, code, example) in examples() {
        let number = format!("{code}{example}");
        let expected = format!("+{}", legacy::current_form(&number));
        let found = normal_form(&format!("+{number}"), None);
        assert_eq!(found.as_ref(), Ok(&expected), "{id} {number}");
        assert_eq!(normal_form(&expected, None), found, "{id} {number}");
    }
}

#[test]
fn the_example_numbers_of_every_plan_are_found_from_their_national_forms() {
    for (id, code, example) in examples() {
        let Ok(region) = id.parse::<Region>() else {
            continue;
        };
        let number = format!("{code}{example}");
        let expected = Ok(format!("+{}", legacy::current_form(&number)));
        let trunk = region
            .plan()
            .and_then(|plan| plan.national_prefix())
            .unwrap_or("");
        for written in [
            example.to_owned(),
            format!("{trunk}{example}"),
            format!("00{number}"),
        ] {
            let found = normal_form(&written, Some(region));
            assert_eq!(found, expected, "{id} {written}");
        }
    }
}
