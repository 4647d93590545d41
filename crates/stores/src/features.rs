//! The features of a person: the fold over the facts of the person's origins.

use std::collections::{BTreeMap, BTreeSet};

use common::event_types::{PAGE_VIEW, PURCHASE, WHATSAPP_MESSAGE};
use common::{ProfileId, UnixMillis};
use serde::Serialize;
use sqlx::Row as _;

use crate::effects::Features;
use crate::error::StoreError;
use crate::sql::{Column, Rows, fetch_with};

/// The lengths of the windows, in days.
const WINDOWS: [i64; 3] = [1, 7, 30];

/// Everything is a sum, a minimum, a maximum or the size of a set, so the order of events and of
/// merges does not matter. Days are UTC days.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct PersonFeatures {
    /// When the first event happened.
    pub first_seen: Option<String>,
    /// When the last event happened.
    pub last_seen: Option<String>,
    /// When the last purchase happened.
    pub last_purchase: Option<String>,
    /// Events by type.
    pub events_by_type: BTreeMap<String, i64>,
    /// Purchases.
    pub orders: i64,
    /// Purchases after the first.
    pub repeat_orders: i64,
    /// Days with a purchase.
    pub purchase_days: i64,
    /// Revenue by currency.
    pub revenue: Vec<Revenue>,
    /// Pages viewed.
    pub page_views: i64,
    /// WhatsApp messages.
    pub whatsapp_messages: i64,
    /// The last 1, 7 and 30 days, today included.
    pub windows: BTreeMap<String, WindowFeatures>,
}

/// Revenue in one currency.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Revenue {
    /// ISO 4217.
    pub currency: String,
    /// Purchases in it.
    pub orders: i64,
    /// Their sum, in minor units.
    pub amount_minor: i64,
    /// Their mean, in minor units, rounded half away from zero.
    pub average_order_minor: i64,
}

/// What happened within a window.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct WindowFeatures {
    /// Events of all types.
    pub events: i64,
    /// Purchases.
    pub orders: i64,
    /// Pages viewed.
    pub page_views: i64,
    /// Revenue by currency.
    pub revenue: Vec<Revenue>,
}

/// The minima and maxima of an origin.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Span {
    first_seen: UnixMillis,
    last_seen: UnixMillis,
    last_purchase: Option<UnixMillis>,
}

/// The sums of an origin's events of one type and currency on one day.
#[derive(Debug, Clone)]
pub(crate) struct Day {
    since_epoch: i64,
    event_type: String,
    currency: String,
    events: i64,
    amount_minor: i64,
}

impl Features {
    /// The features of each person, given as the origins that make it up.
    pub async fn of_people(
        &self,
        people: &BTreeMap<ProfileId, Vec<ProfileId>>,
        now: UnixMillis,
    ) -> Result<BTreeMap<ProfileId, PersonFeatures>, StoreError> {
        let mut person_of: BTreeMap<String, ProfileId> = BTreeMap::new();
        for (person, origins) in people {
            person_of.extend(origins.iter().map(|origin| (origin.to_string(), *person)));
        }
        let spans = self.spans(&person_of).await?;
        let days = self.days(&person_of).await?;
        let none = (Vec::new(), Vec::new());
        let features = people.keys().map(|person| {
            let spans = spans.get(person).unwrap_or(&none.0);
            let days = days.get(person).unwrap_or(&none.1);
            (*person, fold(spans, days, now))
        });
        Ok(features.collect())
    }

    async fn spans(
        &self,
        person_of: &BTreeMap<String, ProfileId>,
    ) -> Result<BTreeMap<ProfileId, Vec<Span>>, StoreError> {
        let columns = "v.origin_id, t.first_seen_at, t.last_seen_at, t.last_purchase_at";
        let rows = self.of_origins(person_of, columns, "origin_facts").await?;
        let mut spans: BTreeMap<ProfileId, Vec<Span>> = BTreeMap::new();
        for row in rows {
            let read = || -> Result<(String, Span), sqlx::Error> {
                Ok((
                    row.try_get(0)?,
                    Span {
                        first_seen: UnixMillis(row.try_get(1)?),
                        last_seen: UnixMillis(row.try_get(2)?),
                        last_purchase: row.try_get::<Option<i64>, _>(3)?.map(UnixMillis),
                    },
                ))
            };
            let (origin, span) = read().map_err(|error| StoreError::of("reading facts", error))?;
            if let Some(person) = person_of.get(&origin) {
                spans.entry(*person).or_default().push(span);
            }
        }
        Ok(spans)
    }

    async fn days(
        &self,
        person_of: &BTreeMap<String, ProfileId>,
    ) -> Result<BTreeMap<ProfileId, Vec<Day>>, StoreError> {
        let columns = "v.origin_id, t.day, t.event_type, t.currency, t.events, t.amount_minor";
        let rows = self.of_origins(person_of, columns, "origin_days").await?;
        let mut days: BTreeMap<ProfileId, Vec<Day>> = BTreeMap::new();
        for row in rows {
            let read = || -> Result<(String, Day), sqlx::Error> {
                Ok((
                    row.try_get(0)?,
                    Day {
                        since_epoch: row.try_get(1)?,
                        event_type: row.try_get(2)?,
                        currency: row.try_get(3)?,
                        events: row.try_get(4)?,
                        amount_minor: row.try_get(5)?,
                    },
                ))
            };
            let (origin, day) = read().map_err(|error| StoreError::of("reading days", error))?;
            if let Some(person) = person_of.get(&origin) {
                days.entry(*person).or_default().push(day);
            }
        }
        Ok(days)
    }

    async fn of_origins(
        &self,
        person_of: &BTreeMap<String, ProfileId>,
        columns: &str,
        table: &str,
    ) -> Result<Vec<sqlx::any::AnyRow>, StoreError> {
        let rows = self.database.rows(&[Column::Text("origin_id")]);
        let origins: Vec<(&str,)> = person_of.keys().map(|origin| (origin.as_str(),)).collect();
        let statement = format!(
            "SELECT {columns} FROM {} JOIN {table} t ON t.origin_id = v.origin_id",
            rows.table()
        );
        let mut connection = self.database.connection().await?;
        fetch_with(
            &mut connection,
            "reading features",
            statement,
            Rows::values(&origins)?,
        )
        .await
    }
}

/// The fold.
fn fold(spans: &[Span], days: &[Day], now: UnixMillis) -> PersonFeatures {
    let today = now.epoch_day();
    let by_type = |kind: &str| -> i64 {
        days.iter()
            .filter(|day| day.event_type == kind)
            .map(|day| day.events)
            .sum()
    };
    let orders = by_type(PURCHASE);
    let purchase_days: BTreeSet<i64> = days
        .iter()
        .filter(|day| day.event_type == PURCHASE)
        .map(|day| day.since_epoch)
        .collect();
    let mut events_by_type: BTreeMap<String, i64> = BTreeMap::new();
    for day in days {
        *events_by_type.entry(day.event_type.clone()).or_default() += day.events;
    }
    let window = |length: i64| {
        let within: Vec<Day> = days
            .iter()
            .filter(|day| day.since_epoch > today - length && day.since_epoch <= today)
            .cloned()
            .collect();
        (format!("{length}d"), window_of(&within))
    };
    PersonFeatures {
        first_seen: spans
            .iter()
            .map(|span| span.first_seen)
            .min()
            .map(|at| at.to_string()),
        last_seen: spans
            .iter()
            .map(|span| span.last_seen)
            .max()
            .map(|at| at.to_string()),
        last_purchase: spans
            .iter()
            .filter_map(|span| span.last_purchase)
            .max()
            .map(|at| at.to_string()),
        orders,
        repeat_orders: (orders - 1).max(0),
        purchase_days: i64::try_from(purchase_days.len()).unwrap_or(i64::MAX),
        revenue: revenue_of(days),
        page_views: by_type(PAGE_VIEW),
        whatsapp_messages: by_type(WHATSAPP_MESSAGE),
        windows: WINDOWS.into_iter().map(window).collect(),
        events_by_type,
    }
}

fn window_of(days: &[Day]) -> WindowFeatures {
    let of_type = |kind: &str| -> i64 {
        days.iter()
            .filter(|day| day.event_type == kind)
            .map(|day| day.events)
            .sum()
    };
    WindowFeatures {
        events: days.iter().map(|day| day.events).sum(),
        orders: of_type(PURCHASE),
        page_views: of_type(PAGE_VIEW),
        revenue: revenue_of(days),
    }
}

fn revenue_of(days: &[Day]) -> Vec<Revenue> {
    let mut by_currency: BTreeMap<&str, (i64, i64)> = BTreeMap::new();
    for day in days.iter().filter(|day| day.event_type == PURCHASE) {
        let (orders, amount) = by_currency.entry(&day.currency).or_default();
        *orders += day.events;
        *amount = amount.saturating_add(day.amount_minor);
    }
    let revenue = |(currency, (orders, amount_minor)): (&str, (i64, i64))| Revenue {
        currency: currency.to_owned(),
        orders,
        amount_minor,
        average_order_minor: average(amount_minor, orders),
    };
    by_currency.into_iter().map(revenue).collect()
}

/// Rounded half away from zero; revenue is never negative.
fn average(amount_minor: i64, orders: i64) -> i64 {
    let (amount, orders) = (i128::from(amount_minor), i128::from(orders));
    i64::try_from((2 * amount + orders) / (2 * orders).max(1)).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use common::time::DAY_MS;

    use super::*;

    fn day(
        epoch_day: i64,
        event_type: &str,
        currency: &str,
        (events, amount_minor): (i64, i64),
    ) -> Day {
        Day {
            since_epoch: epoch_day,
            event_type: event_type.to_owned(),
            currency: currency.to_owned(),
            events,
            amount_minor,
        }
    }

    #[test]
    fn the_features_of_two_origins_are_the_sums_and_extremes_of_both() {
        let at = |day: i64| UnixMillis(day * DAY_MS);
        let span = |first, last, purchase: Option<i64>| Span {
            first_seen: at(first),
            last_seen: at(last),
            last_purchase: purchase.map(at),
        };
        let spans = [span(100, 130, Some(110)), span(90, 95, None)];
        let days = [
            day(110, "purchase", "USD", (2, 3_001)),
            day(110, "purchase", "EUR", (1, 500)),
            day(130, "purchase", "USD", (1, 1_000)),
            day(95, "page_view", "", (4, 0)),
            day(95, "whatsapp_message", "", (1, 0)),
        ];
        let features = fold(&spans, &days, at(130));
        assert_eq!(
            features.first_seen.as_deref(),
            Some("1970-04-01T00:00:00.000Z")
        );
        assert_eq!(
            features.last_purchase.as_deref(),
            Some("1970-04-21T00:00:00.000Z")
        );
        assert_eq!(
            (
                features.orders,
                features.repeat_orders,
                features.purchase_days
            ),
            (4, 3, 2)
        );
        assert_eq!((features.page_views, features.whatsapp_messages), (4, 1));
        let usd = features
            .revenue
            .iter()
            .find(|revenue| revenue.currency == "USD")
            .cloned();
        let expected = Revenue {
            currency: "USD".to_owned(),
            orders: 3,
            amount_minor: 4_001,
            average_order_minor: 1_334,
        };
        assert_eq!(usd, Some(expected));
        let orders = |window: &str| features.windows.get(window).map(|window| window.orders);
        assert_eq!(
            [orders("1d"), orders("7d"), orders("30d")],
            [Some(1), Some(1), Some(4)]
        );
    }

    #[test]
    fn nobody_has_no_features() {
        let features = fold(&[], &[], UnixMillis(0));
        assert_eq!((features.orders, features.repeat_orders), (0, 0));
        assert_eq!(features.first_seen, None);
    }
}
