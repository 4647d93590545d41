//! Estimates of how many different people did something, in a real Redis.

use std::time::Duration;

use anyhow::Result;
use common::keys::UniqueProfilesKey;
use redis_link::Link;
use stores::{UniqueProfiles, UniqueSighting};
use testkit::servers::{RedisDatabase, RedisServer, or_skip, redis_cli, redis_database};

use crate::facts::{ACME, brand, event_type, origin};

const TIMEOUT: Duration = Duration::from_secs(5);
const TODAY: i64 = 20_777;

fn unique() -> Result<Option<(RedisDatabase, UniqueProfiles)>> {
    let Some(redis) = redis_database() else {
        return Ok(None);
    };
    let unique = UniqueProfiles::new(Link::open(redis.url(), TIMEOUT)?);
    Ok(Some((redis, unique)))
}

fn sighting(person: u128, epoch_day: i64) -> UniqueSighting {
    UniqueSighting {
        brand_id: brand(ACME),
        event_type: event_type("page_view"),
        epoch_day,
        profile_id: origin(person),
    }
}

async fn count(unique: &UniqueProfiles, days: std::ops::RangeInclusive<i64>) -> Result<u64> {
    let (brand, kind) = (brand(ACME), event_type("page_view"));
    Ok(unique.count(&brand, &kind, days).await?)
}

#[tokio::test]
async fn somebody_who_is_seen_twice_counts_once() -> Result<()> {
    let Some((_redis, unique)) = unique()? else {
        return Ok(());
    };
    assert_eq!(count(&unique, TODAY..=TODAY).await?, 0);
    unique.add(&[]).await?;
    for _ in 0..2 {
        let seen = [sighting(1, TODAY), sighting(2, TODAY), sighting(1, TODAY)];
        unique.add(&seen).await?;
        assert_eq!(count(&unique, TODAY..=TODAY).await?, 2);
    }
    Ok(())
}

#[tokio::test]
async fn days_are_counted_together_and_apart() -> Result<()> {
    let Some((_redis, unique)) = unique()? else {
        return Ok(());
    };
    let seen = [(1, -2), (2, -2), (2, -1), (3, -1), (4, 0), (1, 0), (9, 5)];
    unique
        .add(&seen.map(|(person, day)| sighting(person, day)))
        .await?;
    for (days, expected) in [
        (-2..=-2, 2),
        (-1..=-1, 2),
        (-2..=-1, 3),
        (-2..=0, 4),
        (-100..=100, 5),
        (1..=4, 0),
    ] {
        assert_eq!(count(&unique, days.clone()).await?, expected, "{days:?}");
    }
    #[expect(
        clippy::reversed_empty_ranges,
        reason = "no day at all is what is asked for"
    )]
    let none = count(&unique, 1..=0).await?;
    assert_eq!(none, 0);
    Ok(())
}

#[tokio::test]
async fn brands_and_types_are_counted_apart_whatever_their_names() -> Result<()> {
    let Some((_redis, unique)) = unique()? else {
        return Ok(());
    };
    // Their parts would make the same key if they were only put side by side.
    let names = [
        ("a:b", "c"),
        ("a", "b:c"),
        ("a", "b"),
        ("{a}", "b"),
        ("é \"", "\\👍"),
    ];
    let mut seen = Vec::new();
    for (people, (brand_id, kind)) in (1..).zip(names) {
        seen.extend((0..people).map(|person| UniqueSighting {
            brand_id: brand(brand_id),
            event_type: event_type(kind),
            ..sighting(person, TODAY)
        }));
    }
    unique.add(&seen).await?;
    for (people, (brand_id, kind)) in (1..).zip(names) {
        let (whose, of_type) = (brand(brand_id), event_type(kind));
        let found = unique.count(&whose, &of_type, TODAY..=TODAY).await?;
        assert_eq!(found, people, "{brand_id} {kind}");
    }
    Ok(())
}

#[tokio::test]
async fn ten_thousand_people_are_counted_within_a_few_percent() -> Result<()> {
    let Some((_redis, unique)) = unique()? else {
        return Ok(());
    };
    let seen: Vec<UniqueSighting> = (0..10_000)
        .map(|person| sighting(person, TODAY - i64::from(person % 2 == 0)))
        .collect();
    for batch in seen.chunks(512) {
        unique.add(batch).await?;
    }
    for (days, people) in [(TODAY..=TODAY, 5_000_u64), (TODAY - 1..=TODAY, 10_000)] {
        let found = count(&unique, days).await?;
        assert!(
            found.abs_diff(people) * 100 < people * 3,
            "{found} of {people}"
        );
    }
    Ok(())
}

#[tokio::test]
async fn a_day_is_kept_for_400_days_after_its_last_event() -> Result<()> {
    let Some((redis, unique)) = unique()? else {
        return Ok(());
    };
    let seen = sighting(1, TODAY);
    let key = UniqueProfilesKey {
        brand_id: seen.brand_id.clone(),
        event_type: seen.event_type.clone(),
        epoch_day: TODAY,
    }
    .to_string();
    let kept = Duration::from_hours(400 * 24).as_secs();
    for _ in 0..2 {
        unique.add(std::slice::from_ref(&seen)).await?;
        let left: u64 = redis_cli(redis.url(), &["TTL", &key])?.parse()?;
        assert!((kept - 60..=kept).contains(&left), "{left}");
        redis_cli(redis.url(), &["EXPIRE", &key, "100"])?;
    }
    Ok(())
}

#[tokio::test]
async fn a_redis_that_is_away_is_unavailable_and_works_when_it_is_back() -> Result<()> {
    let Some(redis) = or_skip("redis-server", RedisServer::start()) else {
        return Ok(());
    };
    let unique = UniqueProfiles::new(Link::open(redis.url(), TIMEOUT)?);
    unique.add(&[sighting(1, TODAY)]).await?;
    redis.stop()?;
    let failure = unique.add(&[sighting(2, TODAY)]).await.unwrap_err();
    assert!(failure.is_unavailable(), "{failure:?}");
    redis.restart()?;
    unique
        .add(&[sighting(1, TODAY), sighting(2, TODAY)])
        .await?;
    assert_eq!(count(&unique, TODAY..=TODAY).await?, 2);
    Ok(())
}
