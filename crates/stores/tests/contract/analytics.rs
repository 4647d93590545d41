//! Buckets of brands.

use anyhow::Result;
use common::UnixMillis;
use common::time::{DAY_MS, HOUR_MS, MINUTE_MS};
use stores::{BucketQuery, EventFact};

use crate::facts::{ACME, BRANDS, fact, purchase, random_facts};
use crate::model::{GRAINS, buckets, every_bucket};
use crate::{Bench, NOW};

on_both_engines! {
    buckets_of_every_grain_are_the_sums_of_the_raw_facts,
    a_query_names_a_time_a_type_and_how_many,
    a_bucket_begins_with_its_first_millisecond_and_ends_before_the_next,
    a_type_that_nobody_used_has_no_buckets,
}

async fn buckets_of_every_grain_are_the_sums_of_the_raw_facts(bench: Bench) -> Result<()> {
    let mut facts = random_facts(&mut fastrand::Rng::with_seed(3), 0..400);
    // Several in one minute, too.
    for (fact, offset) in facts.iter_mut().zip(0..200) {
        fact.at = UnixMillis(NOW.0 + offset * 977);
    }
    for batch in facts.chunks(64) {
        bench.apply(batch).await?;
    }
    for name in BRANDS {
        for (grain, length_ms) in GRAINS {
            let found = bench
                .analytics()
                .buckets(&every_bucket(name, grain))
                .await?;
            let events: i64 = found.iter().map(|bucket| bucket.events).sum();
            let facts_of_brand = facts.iter().filter(|fact| fact.brand_id.as_str() == name);
            assert_eq!(usize::try_from(events)?, facts_of_brand.count());
            assert_eq!(found, buckets(&facts, name, length_ms));
        }
    }
    Ok(())
}

async fn a_query_names_a_time_a_type_and_how_many(bench: Bench) -> Result<()> {
    let facts = random_facts(&mut fastrand::Rng::with_seed(4), 0..300);
    bench.apply(&facts).await?;
    let (from, to) = (UnixMillis(NOW.0 - 9 * DAY_MS), UnixMillis(NOW.0 - HOUR_MS));
    for (grain, length_ms) in GRAINS {
        for wanted in [None, Some("purchase"), Some("sign_up")] {
            let mut expected = buckets(&facts, ACME, length_ms);
            expected.retain(|bucket| (from..to).contains(&bucket.start));
            expected.retain(|bucket| wanted.is_none_or(|kind| kind == bucket.event_type));
            for limit in [0, 1, 5, 10_000] {
                let query = BucketQuery {
                    event_type: wanted.map(str::to_owned),
                    from,
                    to,
                    limit,
                    ..every_bucket(ACME, grain)
                };
                let found = bench.analytics().buckets(&query).await?;
                let count = usize::try_from(limit)?.min(expected.len());
                assert_eq!(found, expected[..count], "{query:?}");
                assert!(found.is_sorted_by_key(|bucket| bucket.start));
            }
        }
    }
    Ok(())
}

async fn a_bucket_begins_with_its_first_millisecond_and_ends_before_the_next(
    bench: Bench,
) -> Result<()> {
    let noon = NOW.0;
    assert_eq!(noon % DAY_MS, DAY_MS / 2);
    let midnight = noon - DAY_MS / 2;
    let moments = [
        -1,
        0,
        midnight - 1,
        midnight,
        noon - 1,
        noon,
        noon + MINUTE_MS,
    ];
    let facts: Vec<EventFact> = (0..)
        .zip(moments)
        .map(|(number, at)| EventFact {
            at: UnixMillis(at),
            ..fact(number)
        })
        .collect();
    bench.apply(&facts).await?;
    let [minutes, hours, days] = [
        &[
            -MINUTE_MS,
            0,
            midnight - MINUTE_MS,
            midnight,
            noon - MINUTE_MS,
            noon,
            noon + MINUTE_MS,
        ][..],
        &[
            -HOUR_MS,
            0,
            midnight - HOUR_MS,
            midnight,
            noon - HOUR_MS,
            noon,
        ],
        &[-DAY_MS, 0, midnight - DAY_MS, midnight],
    ];
    for ((grain, _), expected) in GRAINS.into_iter().zip([minutes, hours, days]) {
        let found = bench
            .analytics()
            .buckets(&every_bucket(ACME, grain))
            .await?;
        let starts: Vec<i64> = found.iter().map(|bucket| bucket.start.0).collect();
        assert_eq!(starts, expected, "{grain:?}");
    }
    Ok(())
}

async fn a_type_that_nobody_used_has_no_buckets(bench: Bench) -> Result<()> {
    bench.apply(&[fact(1), purchase(2, None)]).await?;
    for (grain, _) in GRAINS {
        let query = BucketQuery {
            event_type: Some("refund".to_owned()),
            ..every_bucket(ACME, grain)
        };
        assert!(bench.analytics().buckets(&query).await?.is_empty());
        let stranger = every_bucket("stranger", grain);
        assert!(bench.analytics().buckets(&stranger).await?.is_empty());
    }
    Ok(())
}
