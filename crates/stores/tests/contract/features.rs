//! Sums, minima and maxima of origins, and the people that they make up.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result};
use common::event_types::PURCHASE;
use common::time::DAY_MS;
use common::{ProfileId, UnixMillis};
use stores::{EventFact, PersonFeatures};

use crate::facts::{event_type, fact, origin, purchase, purchase_of, random_facts};
use crate::model::{assert_counted_once, features};
use crate::{Bench, NOW};

on_both_engines! {
    sums_are_right_for_many_origins_types_currencies_and_days,
    early_and_late_events_move_the_first_and_the_last_sight,
    an_event_of_nobody_counts_for_the_brand_only,
    a_person_is_the_sum_of_its_origins,
    people_without_facts_have_empty_features,
    revenue_at_the_limit_of_64_bits_is_exact_and_does_not_pass_it,
    a_batch_of_512_facts_that_share_nothing_is_applied,
}

async fn sums_are_right_for_many_origins_types_currencies_and_days(bench: Bench) -> Result<()> {
    let facts = random_facts(&mut fastrand::Rng::with_seed(1), 0..600);
    for (index, batch) in facts.chunks(90).enumerate() {
        bench.apply(batch).await?;
        let so_far = facts.len().min(90 * (index + 1));
        assert_counted_once(&bench, &facts[..so_far]).await?;
    }
    Ok(())
}

async fn early_and_late_events_move_the_first_and_the_last_sight(bench: Bench) -> Result<()> {
    let at = |days: i64| UnixMillis(NOW.0 + days * DAY_MS);
    let steps = [
        (fact(1), 0, [0, 0], None),
        (purchase(2, None), -3, [-3, 0], Some(-3)),
        (purchase(3, None), -9, [-9, 0], Some(-3)),
        (fact(4), 5, [-9, 5], Some(-3)),
        // Long before the epoch, and long after everybody.
        (purchase(5, None), -30_000, [-30_000, 5], Some(-3)),
        (
            purchase(6, None),
            400_000,
            [-30_000, 400_000],
            Some(400_000),
        ),
    ];
    for (fact, days, [first, last], bought) in steps {
        let late = EventFact {
            at: at(days),
            ..fact
        };
        bench.apply(&[late]).await?;
        let features = one_person(&bench, &[origin(1)]).await?;
        let found = [
            features.first_seen,
            features.last_seen,
            features.last_purchase,
        ];
        let expected = [Some(first), Some(last), bought].map(|day| Some(at(day?).to_string()));
        assert_eq!(found, expected);
    }
    Ok(())
}

async fn an_event_of_nobody_counts_for_the_brand_only(bench: Bench) -> Result<()> {
    let nobodys = |fact: EventFact| EventFact {
        origin_id: None,
        profile_id: None,
        ..fact
    };
    let facts = [
        nobodys(fact(1)),
        nobodys(purchase(2, Some("order"))),
        fact(3),
    ];
    let applied = bench.apply(&facts).await?;
    assert_eq!((applied.counted, applied.requested), (3, Vec::new()));
    assert_counted_once(&bench, &facts).await?;
    let features = one_person(&bench, &[origin(1)]).await?;
    assert_eq!((features.page_views, features.orders), (1, 0));
    Ok(())
}

async fn a_person_is_the_sum_of_its_origins(bench: Bench) -> Result<()> {
    let facts = random_facts(&mut fastrand::Rng::with_seed(2), 0..300);
    bench.apply(&facts).await?;
    let origins: Vec<ProfileId> = (1_000..1_006).map(origin).collect();
    let (some, others) = origins.split_at(4);
    let people = BTreeMap::from([(some[0], some.to_vec()), (others[1], others.to_vec())]);
    let found = bench.features().of_people(&people, NOW).await?;
    let expected = BTreeMap::from([
        (some[0], features(&facts, some)),
        (others[1], features(&facts, others)),
    ]);
    assert_eq!(found, expected);
    Ok(())
}

async fn people_without_facts_have_empty_features(bench: Bench) -> Result<()> {
    let nobody = bench.features().of_people(&BTreeMap::new(), NOW).await?;
    assert!(nobody.is_empty());
    bench.apply(&[fact(1)]).await?;
    for origins in [vec![], vec![origin(2)]] {
        let found = one_person(&bench, &origins).await?;
        assert_eq!(found, features(&[], &[]));
    }
    Ok(())
}

async fn revenue_at_the_limit_of_64_bits_is_exact_and_does_not_pass_it(bench: Bench) -> Result<()> {
    // Of 2^53 and more a floating-point number would lose the last digits.
    let amounts = [(1 << 53) + 1, i64::MAX - (1 << 53) - 6, 3, 1];
    let facts: Vec<EventFact> = (0..)
        .zip(amounts)
        .map(|(number, amount)| purchase_of(number, "USD", amount))
        .collect();
    bench.apply(&facts[..2]).await?;
    assert_counted_once(&bench, &facts[..2]).await?;
    bench.apply(&facts[2..3]).await?;
    bench.apply(&facts[3..]).await?;
    assert_eq!(amounts.iter().sum::<i64>(), i64::MAX - 1);
    assert_counted_once(&bench, &facts).await?;

    // What is more than can be kept stays at the limit, and the batch is not refused for ever.
    let too_much = [purchase_of(9, "USD", 5), purchase_of(10, "EUR", 7)];
    assert_eq!(bench.apply(&too_much).await?.counted, 2);
    let yesterday = EventFact {
        at: UnixMillis(NOW.0 - DAY_MS),
        ..purchase_of(11, "USD", 5)
    };
    bench.apply(&[yesterday]).await?;
    let features = one_person(&bench, &[origin(1)]).await?;
    let sums: Vec<i64> = features.revenue.iter().map(|of| of.amount_minor).collect();
    assert_eq!((sums, features.orders), (vec![7, i64::MAX], 7));
    Ok(())
}

async fn a_batch_of_512_facts_that_share_nothing_is_applied(bench: Bench) -> Result<()> {
    let spread = |number: u32| {
        let order = format!("order {number}");
        let whose = Some(origin(number.into()));
        EventFact {
            at: UnixMillis(NOW.0 - i64::from(number) * DAY_MS),
            event_type: event_type(PURCHASE),
            origin_id: whose,
            profile_id: whose,
            ..purchase(number.into(), Some(&order))
        }
    };
    let facts: Vec<EventFact> = (0..512).map(spread).collect();
    let applied = bench.apply(&facts).await?;
    assert_eq!((applied.counted, applied.requested.len()), (512, 512));
    assert_counted_once(&bench, &facts).await?;
    assert_eq!(bench.apply_again(&facts).await?.repeats, 512);
    assert_counted_once(&bench, &facts).await
}

async fn one_person(bench: &Bench, origins: &[ProfileId]) -> Result<PersonFeatures> {
    let person = origin(99);
    let people = BTreeMap::from([(person, origins.to_vec())]);
    let mut found = bench.features().of_people(&people, NOW).await?;
    found.remove(&person).context("the person")
}
