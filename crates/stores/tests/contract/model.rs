//! What the database must hold after certain facts: sums over the raw facts, written as plainly as
//! can be.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use anyhow::Result;
use common::event_types::{PAGE_VIEW, PURCHASE, WHATSAPP_MESSAGE};
use common::time::{DAY_MS, HOUR_MS, MINUTE_MS};
use common::{ProfileId, UnixMillis};
use stores::{Bucket, BucketQuery, EventFact, Grain, PersonFeatures, Revenue, WindowFeatures};

use crate::facts::{BRANDS, brand};
use crate::{Bench, NOW};

pub(crate) const GRAINS: [(Grain, i64); 3] = [
    (Grain::Minute, MINUTE_MS),
    (Grain::Hour, HOUR_MS),
    (Grain::Day, DAY_MS),
];

/// Fails unless the database holds the sums of exactly these facts, each of them once.
pub(crate) async fn assert_counted_once(bench: &Bench, facts: &[EventFact]) -> Result<()> {
    for name in BRANDS {
        for (grain, length_ms) in GRAINS {
            let expected = buckets(facts, name, length_ms);
            let found = bench
                .analytics()
                .buckets(&every_bucket(name, grain))
                .await?;
            assert_eq!(found, expected, "{name}, {grain:?}");
        }
    }
    let origins: BTreeSet<ProfileId> = facts.iter().filter_map(|fact| fact.origin_id).collect();
    let people: BTreeMap<_, _> = origins.iter().map(|id| (*id, vec![*id])).collect();
    let found = bench.features().of_people(&people, NOW).await?;
    let expected: BTreeMap<_, _> = origins
        .iter()
        .map(|id| (*id, features(facts, &[*id])))
        .collect();
    assert_eq!(found, expected);
    Ok(())
}

/// Asks for everything that a brand has.
pub(crate) fn every_bucket(name: &str, grain: Grain) -> BucketQuery {
    BucketQuery {
        brand_id: brand(name),
        grain,
        event_type: None,
        from: UnixMillis(i64::MIN),
        to: UnixMillis(i64::MAX),
        limit: u32::MAX,
    }
}

/// Start, type and currency.
type BucketKey<'a> = (i64, &'a str, &'a str);

/// The buckets of a brand, in order of time, type and currency.
pub(crate) fn buckets(facts: &[EventFact], name: &str, length_ms: i64) -> Vec<Bucket> {
    let mut sums: HashMap<BucketKey<'_>, (i64, i64)> = HashMap::new();
    for fact in facts.iter().filter(|fact| fact.brand_id.as_str() == name) {
        let start = fact.at.0 - fact.at.0.rem_euclid(length_ms);
        let (currency, amount_minor) = price(fact);
        let key = (start, fact.event_type.as_str(), currency);
        let (events, amount) = sums.entry(key).or_default();
        *events += 1;
        *amount += amount_minor;
    }
    let mut sums: Vec<_> = sums.into_iter().collect();
    sums.sort_unstable();
    let bucket = |((start, kind, currency), (events, amount_minor)): (BucketKey<'_>, _)| Bucket {
        start: UnixMillis(start),
        event_type: kind.to_owned(),
        currency: currency.to_owned(),
        events,
        amount_minor,
    };
    sums.into_iter().map(bucket).collect()
}

/// The features of the person that these origins make up, at noon.
pub(crate) fn features(facts: &[EventFact], origins: &[ProfileId]) -> PersonFeatures {
    let is_theirs = |fact: &&EventFact| fact.origin_id.is_some_and(|id| origins.contains(&id));
    let theirs: Vec<&EventFact> = facts.iter().filter(is_theirs).collect();
    let purchases = || theirs.iter().filter(|fact| fact.purchase.is_some());
    let mut events_by_type: BTreeMap<String, i64> = BTreeMap::new();
    for fact in &theirs {
        *events_by_type
            .entry(fact.event_type.to_string())
            .or_default() += 1;
    }
    let purchase_days: BTreeSet<i64> = purchases().map(|fact| fact.at.epoch_day()).collect();
    let windows = [1, 7, 30].map(|days| (format!("{days}d"), window(&theirs, days)));
    PersonFeatures {
        first_seen: theirs.iter().map(|fact| fact.at).min().map(text),
        last_seen: theirs.iter().map(|fact| fact.at).max().map(text),
        last_purchase: purchases().map(|fact| fact.at).max().map(text),
        orders: of_type(&theirs, PURCHASE),
        repeat_orders: (of_type(&theirs, PURCHASE) - 1).max(0),
        purchase_days: i64::try_from(purchase_days.len()).expect("a few"),
        revenue: revenue(&theirs),
        page_views: of_type(&theirs, PAGE_VIEW),
        whatsapp_messages: of_type(&theirs, WHATSAPP_MESSAGE),
        windows: windows.into_iter().collect(),
        events_by_type,
    }
}

fn window(theirs: &[&EventFact], days: i64) -> WindowFeatures {
    let today = NOW.epoch_day();
    let recent: Vec<&EventFact> = theirs
        .iter()
        .copied()
        .filter(|fact| (today - days + 1..=today).contains(&fact.at.epoch_day()))
        .collect();
    WindowFeatures {
        events: i64::try_from(recent.len()).expect("a few"),
        orders: of_type(&recent, PURCHASE),
        page_views: of_type(&recent, PAGE_VIEW),
        revenue: revenue(&recent),
    }
}

fn revenue(facts: &[&EventFact]) -> Vec<Revenue> {
    let mut by_currency: BTreeMap<&str, (i64, i64)> = BTreeMap::new();
    for fact in facts.iter().filter(|fact| fact.purchase.is_some()) {
        let (currency, amount_minor) = price(fact);
        let (orders, sum) = by_currency.entry(currency).or_default();
        *orders += 1;
        *sum += amount_minor;
    }
    let of_currency = |(currency, (orders, amount_minor)): (&str, (i64, i64))| {
        // Half a unit more, rounded down: half away from zero, as amounts are not negative.
        let average =
            (2 * i128::from(amount_minor) + i128::from(orders)) / (2 * i128::from(orders));
        Revenue {
            currency: currency.to_owned(),
            orders,
            amount_minor,
            average_order_minor: i64::try_from(average).expect("no more than the sum"),
        }
    };
    by_currency.into_iter().map(of_currency).collect()
}

fn of_type(facts: &[&EventFact], kind: &str) -> i64 {
    let count = facts.iter().filter(|fact| fact.event_type.as_str() == kind);
    i64::try_from(count.count()).expect("a few")
}

fn price(fact: &EventFact) -> (&str, i64) {
    let purchase = fact.purchase.as_ref();
    purchase.map_or(("", 0), |purchase| {
        (purchase.currency.as_str(), purchase.amount_minor)
    })
}

fn text(at: UnixMillis) -> String {
    at.to_string()
}
