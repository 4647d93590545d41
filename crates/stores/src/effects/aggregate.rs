//! A batch of facts added up in memory, so that it is written in a few statements.

use std::collections::BTreeMap;

use common::time::{DAY_MS, HOUR_MS, MINUTE_MS};
use common::{ProfileId, UnixMillis};
use sqlx::AnyConnection;

use super::EventFact;
use crate::analytics::Grain;
use crate::error::StoreError;
use crate::sql::{Column, Database, Rows, fetch_with};

/// What a row of sums holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Sums {
    events: i64,
    amount_minor: i64,
}

#[derive(Debug, PartialEq, Eq)]
struct Span<'a> {
    brand_id: &'a str,
    first_seen: UnixMillis,
    last_seen: UnixMillis,
    last_purchase: Option<UnixMillis>,
}

/// Origin, UTC day, event type, currency.
type DayKey<'a> = (ProfileId, i64, &'a str, &'a str);
/// Brand, grain, event type, start, currency.
type BucketKey<'a> = (&'a str, Grain, &'a str, i64, &'a str);

/// Everything is keyed in the order in which the rows are locked, so that batches that run side by
/// side cannot wait for one another in a circle.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Aggregates<'a> {
    spans: BTreeMap<ProfileId, Span<'a>>,
    days: BTreeMap<DayKey<'a>, Sums>,
    buckets: BTreeMap<BucketKey<'a>, Sums>,
}

const GRAINS: [(Grain, i64); 3] = [
    (Grain::Minute, MINUTE_MS),
    (Grain::Hour, HOUR_MS),
    (Grain::Day, DAY_MS),
];

impl<'a> Aggregates<'a> {
    pub(super) fn of(facts: impl Iterator<Item = &'a EventFact>) -> Self {
        let mut aggregates = Self::default();
        for fact in facts {
            aggregates.add(fact);
        }
        aggregates
    }

    fn add(&mut self, fact: &'a EventFact) {
        let (brand, kind) = (fact.brand_id.as_str(), fact.event_type.as_str());
        let purchase = fact.purchase.as_ref();
        let currency = purchase.map_or("", |purchase| purchase.currency.as_str());
        let amount = purchase.map_or(0, |purchase| purchase.amount_minor);
        for (grain, length_ms) in GRAINS {
            let start = fact.at.floor(length_ms).0;
            add_up(
                self.buckets
                    .entry((brand, grain, kind, start, currency))
                    .or_default(),
                amount,
            );
        }
        let Some(origin) = fact.origin_id else { return };
        let day = fact.at.epoch_day();
        add_up(
            self.days.entry((origin, day, kind, currency)).or_default(),
            amount,
        );
        let span = self.spans.entry(origin).or_insert(Span {
            brand_id: brand,
            first_seen: fact.at,
            last_seen: fact.at,
            last_purchase: None,
        });
        span.first_seen = span.first_seen.min(fact.at);
        span.last_seen = span.last_seen.max(fact.at);
        if purchase.is_some() {
            span.last_purchase = span.last_purchase.max(Some(fact.at));
        }
    }

    pub(super) async fn write(
        &self,
        connection: &mut AnyConnection,
        database: &Database,
    ) -> Result<(), StoreError> {
        if !self.spans.is_empty() {
            self.write_spans(connection, database).await?;
            self.write_days(connection, database).await?;
        }
        if !self.buckets.is_empty() {
            self.write_buckets(connection, database).await?;
        }
        Ok(())
    }

    async fn write_spans(
        &self,
        connection: &mut AnyConnection,
        database: &Database,
    ) -> Result<(), StoreError> {
        let rows = database.rows(&[
            Column::Text("origin_id"),
            Column::Text("brand_id"),
            Column::Number("first_seen_at"),
            Column::Number("last_seen_at"),
            Column::Number("last_purchase_at"),
        ]);
        let values: Vec<_> = self
            .spans
            .iter()
            .map(|(origin, span)| {
                let purchase = span.last_purchase.map(|at| at.0);
                (
                    origin,
                    span.brand_id,
                    span.first_seen.0,
                    span.last_seen.0,
                    purchase,
                )
            })
            .collect();
        // LEAST and GREATEST are MIN and MAX in SQLite; CASE is CASE everywhere.
        let statement = format!(
            "INSERT INTO origin_facts AS f \
                 (origin_id, brand_id, first_seen_at, last_seen_at, last_purchase_at) \
             SELECT v.origin_id, v.brand_id, v.first_seen_at, v.last_seen_at, v.last_purchase_at \
             FROM {} WHERE true \
             ON CONFLICT (origin_id) DO UPDATE SET \
                 first_seen_at = CASE WHEN excluded.first_seen_at < f.first_seen_at \
                     THEN excluded.first_seen_at ELSE f.first_seen_at END, \
                 last_seen_at = CASE WHEN excluded.last_seen_at > f.last_seen_at \
                     THEN excluded.last_seen_at ELSE f.last_seen_at END, \
                 last_purchase_at = CASE WHEN f.last_purchase_at IS NULL \
                         OR excluded.last_purchase_at > f.last_purchase_at \
                     THEN excluded.last_purchase_at ELSE f.last_purchase_at END",
            rows.table()
        );
        fetch_with(
            connection,
            "writing facts",
            statement,
            Rows::values(&values)?,
        )
        .await?;
        Ok(())
    }

    async fn write_days(
        &self,
        connection: &mut AnyConnection,
        database: &Database,
    ) -> Result<(), StoreError> {
        let rows = database.rows(&[
            Column::Text("origin_id"),
            Column::Number("day"),
            Column::Text("event_type"),
            Column::Text("currency"),
            Column::Number("events"),
            Column::Number("amount_minor"),
        ]);
        let values: Vec<_> = self
            .days
            .iter()
            .map(|((origin, day, kind, currency), sums)| {
                (origin, day, kind, currency, sums.events, sums.amount_minor)
            })
            .collect();
        let statement = format!(
            "INSERT INTO origin_days AS d \
                 (origin_id, day, event_type, currency, events, amount_minor) \
             SELECT v.origin_id, v.day, v.event_type, v.currency, v.events, v.amount_minor \
             FROM {} WHERE true \
             ON CONFLICT (origin_id, day, event_type, currency) DO UPDATE SET \
                 events = d.events + excluded.events, amount_minor = {}",
            rows.table(),
            sum_of_amounts("d")
        );
        fetch_with(
            connection,
            "writing days",
            statement,
            Rows::values(&values)?,
        )
        .await?;
        Ok(())
    }

    async fn write_buckets(
        &self,
        connection: &mut AnyConnection,
        database: &Database,
    ) -> Result<(), StoreError> {
        let rows = database.rows(&[
            Column::Text("brand_id"),
            Column::Text("grain"),
            Column::Text("event_type"),
            Column::Number("bucket_start"),
            Column::Text("currency"),
            Column::Number("events"),
            Column::Number("amount_minor"),
        ]);
        let values: Vec<_> = self
            .buckets
            .iter()
            .map(|((brand, grain, kind, start, currency), sums)| {
                (
                    brand,
                    grain.as_str(),
                    kind,
                    start,
                    currency,
                    sums.events,
                    sums.amount_minor,
                )
            })
            .collect();
        let statement = format!(
            "INSERT INTO brand_buckets AS b \
                 (brand_id, grain, event_type, bucket_start, currency, events, amount_minor) \
             SELECT v.brand_id, v.grain, v.event_type, v.bucket_start, v.currency, v.events, \
                 v.amount_minor \
             FROM {} WHERE true \
             ON CONFLICT (brand_id, grain, event_type, bucket_start, currency) DO UPDATE SET \
                 events = b.events + excluded.events, amount_minor = {}",
            rows.table(),
            sum_of_amounts("b")
        );
        fetch_with(
            connection,
            "writing buckets",
            statement,
            Rows::values(&values)?,
        )
        .await?;
        Ok(())
    }
}

fn add_up(sums: &mut Sums, amount_minor: i64) {
    sums.events += 1;
    sums.amount_minor = sums.amount_minor.saturating_add(amount_minor);
}

/// Revenue that would pass 64 bits stays at the limit, here too: SQLite would go on with a
/// floating-point number, and PostgreSQL would refuse every later batch of the row.
fn sum_of_amounts(row: &str) -> String {
    let limit = i64::MAX;
    let sum = format!("{row}.amount_minor + excluded.amount_minor");
    format!(
        "CASE WHEN excluded.amount_minor <= 0 THEN {sum} \
         WHEN {row}.amount_minor > {limit} - excluded.amount_minor THEN {limit} ELSE {sum} END"
    )
}
