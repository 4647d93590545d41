use proptest::prelude::*;
use serde_json::json;

use super::*;

fn found(explicit: Value, payload: Value) -> Found {
    let payload = payload.as_object().expect("an object").clone();
    extract(explicit.as_object(), &payload, "US".parse().ok())
}

/// Explicit identifiers and a payload; then the identifiers and warnings they give.
type Case = (
    Value,
    Value,
    &'static [&'static str],
    &'static [&'static str],
);

fn check(cases: Vec<Case>) {
    for (explicit, payload, identifiers, warnings) in cases {
        let context = format!("{explicit} {payload}");
        let found = found(explicit, payload);
        let seen: Vec<String> = found
            .identifiers
            .iter()
            .map(|seen| seen.identifier.to_string())
            .collect();
        assert_eq!(seen, identifiers, "{context}");
        assert_eq!(found.warnings, warnings, "{context}");
    }
}

#[test]
fn identifiers_come_from_the_usual_places() {
    check(vec![
        (Value::Null, json!({}), &[], &[]),
        (
            json!({"email": "Ann@x.org"}),
            json!({"amount": 5}),
            &["email:ann@x.org"],
            &[],
        ),
        (
            Value::Null,
            json!({"email": "a@x.org", "user_id": 42, "device_id": "d", "anonymous_id": "n"}),
            &[
                "user_id:42",
                "email:a@x.org",
                "anonymous_id:n",
                "device_id:d",
            ],
            &[],
        ),
        (
            Value::Null,
            json!({"external_id": "E", "wa_id": "551187654321", "whatsapp": "+1 415 555 2671"}),
            &["user_id:E", "phone:+14155552671", "phone:+5511987654321"],
            &[],
        ),
        (
            Value::Null,
            json!({
                "customer": {"email": "c@x.org"},
                "traits": {"email": "t@x.org"},
                "user": {"email": "u@x.org"},
                "context": {"traits": {"email": "ct@x.org"}},
                "order": {"email": "nobody@x.org"},
            }),
            &[
                "email:c@x.org",
                "email:t@x.org",
                "email:u@x.org",
                "email:ct@x.org",
            ],
            &[],
        ),
        (
            Value::Null,
            json!({"customer": "ann@x.org", "user": null, "traits": [], "context": {"traits": 1}}),
            &[],
            &[],
        ),
    ]);
}

#[test]
fn one_identifier_is_found_once_and_the_first_sight_keeps_its_text() {
    let found = found(
        json!({"email": " Ann@X.org "}),
        json!({"email": "ann@x.org", "user": {"email": "ANN@x.org"}}),
    );
    let [only] = found.identifiers.as_slice() else {
        panic!("not one: {found:?}");
    };
    assert_eq!(only.raw, " Ann@X.org ");
    assert_eq!(only.identifier.value, "ann@x.org");
    assert_eq!(only.rule_version, RULE_VERSION);
}

#[test]
fn explicit_identifiers_come_before_those_of_the_payload_within_a_type() {
    check(vec![(
        json!({"phone": "+14155552671", "anonymous_id": "a"}),
        json!({"phone": "+14155552672", "user_id": "u", "anonymous_id": "b"}),
        &[
            "user_id:u",
            "phone:+14155552671",
            "phone:+14155552672",
            "anonymous_id:a",
            "anonymous_id:b",
        ],
        &[],
    )]);
}

#[test]
fn less_sure_ids_count_only_when_no_surer_one_is_there() {
    check(vec![
        (Value::Null, json!({"customer_id": 7}), &["user_id:7"], &[]),
        (
            Value::Null,
            json!({"customer_id": "7", "user_id": "u"}),
            &["user_id:u"],
            &[],
        ),
        (
            json!({"user_id": "u"}),
            json!({"customer": {"id": 7}}),
            &["user_id:u"],
            &[],
        ),
        (
            Value::Null,
            json!({"user": {"id": 7}, "id": "event-1"}),
            &["user_id:7"],
            &[],
        ),
        (
            Value::Null,
            json!({"customer_id": "null", "customer": {"id": 7}, "user": {"id": 8}}),
            &["user_id:7"],
            &["placeholder_identifier"],
        ),
        (
            Value::Null,
            json!({"customer_id": "7", "user": {"user_id": "u"}}),
            &["user_id:u"],
            &[],
        ),
    ]);
}

#[test]
fn values_that_name_nobody_are_skipped_with_a_warning() {
    check(vec![
        (
            json!({"user_id": null, "email": "a@x.org"}),
            json!({"phone": null}),
            &["email:a@x.org"],
            &["placeholder_identifier"],
        ),
        (
            Value::Null,
            json!({"user_id": "undefined", "anonymous_id": 0, "device_id": false}),
            &[],
            &["placeholder_identifier"],
        ),
        (
            Value::Null,
            json!({"email": "ann", "phone": "123", "device_id": "a\u{0}b"}),
            &[],
            &["invalid_email", "invalid_phone", "control_character"],
        ),
        (
            Value::Null,
            json!({"user_id": 1.5, "email": ["a@x.org"], "phone": {}}),
            &[],
            &["identifier_is_not_text"],
        ),
        (
            json!({"session_id": "s", "user_id": "u"}),
            json!({"session_id": "s", "context": {"session_id": "s"}}),
            &["user_id:u"],
            &["unknown_identifier_type"],
        ),
    ]);
}

#[test]
fn phones_are_read_with_the_country_of_the_event_before_the_default() {
    for (payload, expected) in [
        (json!({"phone": "415 555 2671"}), Some("+14155552671")),
        (json!({"phone": "11 98765-4321"}), None),
        (json!({"phone": 14_155_552_671_u64}), Some("+14155552671")),
        (
            json!({"phone": "11 98765-4321", "country": "br"}),
            Some("+5511987654321"),
        ),
        (
            json!({"phone": "11 98765-4321", "country_code": "BR"}),
            Some("+5511987654321"),
        ),
        (
            json!({"phone": "11 98765-4321", "address": {"country": "BR"}}),
            Some("+5511987654321"),
        ),
        (
            json!({"customer": {"phone": "11 98765-4321"}, "context": {"country": "BR"}}),
            Some("+5511987654321"),
        ),
        (
            json!({"phone": "11 98765-4321", "country": "Brazil", "country_code": "BR"}),
            Some("+5511987654321"),
        ),
        (
            json!({"phone": "+1 415 555 2671", "country": "BR"}),
            Some("+14155552671"),
        ),
    ] {
        let context = payload.to_string();
        let found = found(Value::Null, payload);
        let phone = found
            .identifiers
            .first()
            .map(|seen| seen.identifier.value.as_str());
        assert_eq!(phone, expected, "{context}");
    }
}

#[test]
fn a_sender_counts_only_when_it_is_a_phone_number() {
    check(vec![
        (
            Value::Null,
            json!({"from": "5511987654321"}),
            &["phone:+5511987654321"],
            &[],
        ),
        (
            Value::Null,
            json!({"from": "whatsapp:+14155552671"}),
            &["phone:+14155552671"],
            &[],
        ),
        (
            Value::Null,
            json!({"user": {"from": "5511987654321"}}),
            &[],
            &[],
        ),
        (
            json!({"from": "5511987654321"}),
            json!({}),
            &[],
            &["unknown_identifier_type"],
        ),
        (Value::Null, json!({"from": "415 555 2671"}), &[], &[]),
        (Value::Null, json!({"from": "32665"}), &[], &[]),
        (Value::Null, json!({"from": "Ann <ann@x.org>"}), &[], &[]),
        (
            Value::Null,
            json!({"from": "US.13491208655302741918"}),
            &[],
            &[],
        ),
        (Value::Null, json!({"from": "2026-01-31"}), &[], &[]),
        (Value::Null, json!({"from": "20260131"}), &[], &[]),
        (
            Value::Null,
            json!({"from": 5_511_987_654_321_u64}),
            &[],
            &[],
        ),
    ]);
}

#[test]
fn beyond_the_maximum_the_weakest_are_left_out() {
    let ids = |prefix: &str| {
        json!({
            "user_id": format!("{prefix}1"), "external_id": format!("{prefix}2"),
            "email": format!("{prefix}@x.org"), "anonymous_id": format!("{prefix}3"),
            "device_id": format!("{prefix}4"),
        })
    };
    let mut payload = ids("p");
    payload["customer"] = ids("c");
    payload["traits"] = ids("t");
    payload["user"] = ids("u");
    let found = found(ids("e"), payload);
    assert_eq!(found.identifiers.len(), IDENTIFIERS_MAX);
    assert_eq!(found.warnings, [TOO_MANY_IDENTIFIERS]);
    let kinds: Vec<_> = found
        .identifiers
        .iter()
        .map(|seen| seen.identifier.kind)
        .collect();
    assert!(kinds.is_sorted());
    assert!(!kinds.contains(&IdentifierType::DeviceId));
}

fn any_json() -> impl Strategy<Value = Value> {
    let name = prop_oneof![
        "[a-z]{0,3}",
        prop::sample::select(vec![
            "user_id",
            "external_id",
            "email",
            "phone",
            "whatsapp",
            "wa_id",
            "from",
            "id",
            "customer_id",
            "anonymous_id",
            "device_id",
            "customer",
            "traits",
            "user",
            "context",
            "country",
            "address",
            "session_id",
        ])
        .prop_map(str::to_owned),
    ];
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
        "[+0-9() -]{0,24}".prop_map(Value::from),
        "\\PC{0,6}@\\PC{0,6}\\.\\PC{0,3}".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 40, 8, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map(name.clone(), inner, 0..8)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn any_event_is_read_without_failing(explicit in any_json(), payload in any_json()) {
        if let Some(payload) = payload.as_object() {
            let found = extract(explicit.as_object(), payload, "BR".parse().ok());
            prop_assert!(found.identifiers.len() <= IDENTIFIERS_MAX);
            for seen in &found.identifiers {
                prop_assert_eq!(common::ids::check_text(&seen.identifier.value), Ok(()));
            }
        }
    }
}
