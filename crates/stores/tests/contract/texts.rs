//! Texts are kept as they are, whatever they look like to SQL, JSON or Redis.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Result;
use common::ids::ID_CHARS_MAX;
use common::{Identifier, IdentifierType};
use stores::{BucketQuery, EventFact, Grain, IdentifierKey};

use crate::facts::{brand, event_type, origin, purchase};
use crate::model::every_bucket;
use crate::profiles::{add_person, id_of, known};
use crate::{Bench, NOW};

on_both_engines! {
    brands_types_currencies_and_orders_of_any_text_are_kept,
    identifiers_of_any_text_are_kept_and_told_apart,
}

/// Texts of one to 200 characters, all different.
fn texts() -> Vec<String> {
    let odd = [
        "plain",
        "Plain",
        "pläin",
        "pla\u{308}in",
        "it's \"quoted\" `twice` ''",
        r"back\slash \\ \n \u0041 \0",
        r#"{"a":[1,null]}"#,
        "[",
        r#""]"#,
        "null",
        "true",
        "0",
        "00",
        "1e5",
        "-9223372036854775808",
        "$1",
        "?1",
        ":value",
        "%_%",
        "100%",
        "'; DROP TABLE identifiers; --",
        "/* comment */",
        "a:b:{c}",
        "trailing ",
        " leading",
        "👩‍👩‍👧‍👦",
        "🏳️‍🌈\u{10ffff}",
        "\u{202e}rtl עברית",
        "\u{2028}\u{feff}\u{200b}",
        "ﬁ",
        "fi",
    ];
    let longest = ["x", "é", "字", "👍", "\"", "\\", "'"].map(|text| text.repeat(ID_CHARS_MAX));
    odd.into_iter().map(str::to_owned).chain(longest).collect()
}

async fn brands_types_currencies_and_orders_of_any_text_are_kept(bench: Bench) -> Result<()> {
    let texts = texts();
    let about = |number: u64, text: &String| EventFact {
        brand_id: brand(text),
        event_type: event_type(text),
        purchase: Some(stores::Purchase {
            order_id: Some(text.clone()),
            currency: text.clone(),
            amount_minor: 100 + i64::try_from(number).expect("a few"),
        }),
        origin_id: Some(origin(number.into())),
        profile_id: Some(origin(number.into())),
        ..purchase(number, None)
    };
    let facts: Vec<EventFact> = (0..).zip(&texts).map(|(n, text)| about(n, text)).collect();
    let applied = bench.apply(&facts).await?;
    assert_eq!(applied.counted, texts.len());
    assert_eq!(applied.requested.len(), texts.len());
    let again: Vec<EventFact> = (500..)
        .zip(&texts)
        .map(|(n, text)| about(n, text))
        .collect();
    assert_eq!(
        bench.apply(&again).await?.repeated_orders.len(),
        texts.len()
    );

    for ((number, text), fact) in (0..).zip(&texts).zip(&facts) {
        let query = BucketQuery {
            event_type: Some(text.clone()),
            ..every_bucket(text, Grain::Day)
        };
        let found = bench.analytics().buckets(&query).await?;
        assert_eq!(found.len(), 1, "{text:?}");
        assert_eq!((&found[0].event_type, &found[0].currency), (text, text));
        assert_eq!((found[0].events, found[0].amount_minor), (1, 100 + number));
        let whose = fact.origin_id.expect("an origin");
        let people = BTreeMap::from([(whose, vec![whose])]);
        let features = bench.features().of_people(&people, NOW).await?;
        assert_eq!(features[&whose].events_by_type, [(text.clone(), 1)].into());
    }
    Ok(())
}

async fn identifiers_of_any_text_are_kept_and_told_apart(bench: Bench) -> Result<()> {
    let mut keys = Vec::new();
    for text in texts() {
        for kind in [IdentifierType::UserId, IdentifierType::AnonymousId] {
            keys.push(IdentifierKey {
                brand_id: brand(&text),
                identifier: Identifier {
                    kind,
                    value: text.clone(),
                },
            });
        }
    }
    for key in &keys {
        add_person(&bench, std::slice::from_ref(key)).await?;
    }
    let found = known(&bench, &keys).await?;
    assert_eq!(found.owners.len(), keys.len());
    for key in &keys {
        assert_eq!(found.owners[key].origin_id, id_of(key), "{key:?}");
        let Identifier { kind, value } = &key.identifier;
        let user_ids = &found.people[&id_of(key)].user_ids;
        let expected: BTreeSet<String> = (*kind == IdentifierType::UserId)
            .then(|| value.clone())
            .into_iter()
            .collect();
        assert_eq!(*user_ids, expected);
        let person = bench.profiles().find(key).await?.expect("a person");
        assert_eq!(person.identifiers, std::slice::from_ref(&key.identifier));
        assert_eq!(person.brand_id, key.brand_id);
    }
    Ok(())
}
