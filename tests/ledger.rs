//! The independent ledger: what the test sent and the API accepted, added up by the test itself,
//! and compared with what is in SQL at the end.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result, ensure};
use common::{BrandId, ProfileId, UnixMillis};
use stores::{BucketQuery, Grain, PersonFeatures};

use crate::stack::Stack;

/// A purchase of the test's own making.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sale {
    /// The event's id.
    pub event_id: String,
    /// The buyer.
    pub user_id: String,
    /// RFC 3339.
    pub timestamp: String,
    /// US cents.
    pub cents: i64,
}

impl Sale {
    /// The event as it is posted.
    pub fn json(&self, brand: &str) -> String {
        let dollars = format!("{}.{:02}", self.cents / 100, self.cents % 100);
        let mut payload = serde_json::json!({
            "user_id": self.user_id,
            "total": dollars,
            "currency": "USD",
        });
        // Every other one, so that counting an order once cannot hide counting an event twice.
        if self.cents % 2 == 0
            && let Some(fields) = payload.as_object_mut()
        {
            fields.insert("order_id".to_owned(), self.event_id.as_str().into());
        }
        serde_json::json!({
            "event_id": self.event_id,
            "brand_id": brand,
            "event_type": "purchase",
            "timestamp": self.timestamp,
            "payload": payload,
        })
        .to_string()
    }
}

/// What one buyer must come to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Buyer {
    orders: i64,
    cents: i64,
    days: std::collections::BTreeSet<String>,
}

/// What was accepted.
#[derive(Debug, Clone, Default)]
pub struct Ledger {
    buyers: BTreeMap<String, Buyer>,
    by_day: BTreeMap<String, (i64, i64)>,
}

impl Ledger {
    /// Notes an accepted sale.
    pub fn add(&mut self, sale: &Sale) {
        let day = sale.timestamp.get(..10).unwrap_or_default().to_owned();
        let buyer = self.buyers.entry(sale.user_id.clone()).or_default();
        buyer.orders += 1;
        buyer.cents += sale.cents;
        buyer.days.insert(day.clone());
        let (sales, cents) = self.by_day.entry(day).or_default();
        *sales += 1;
        *cents += sale.cents;
    }

    /// How many sales.
    pub fn len(&self) -> i64 {
        self.buyers.values().map(|buyer| buyer.orders).sum()
    }

    /// Whether nothing was accepted.
    pub fn is_empty(&self) -> bool {
        self.buyers.is_empty()
    }

    /// Compares with SQL: every buyer and every day, nothing lost, nothing doubled, nobody else.
    pub async fn check(&self, stack: &Stack, brand: &str) -> Result<()> {
        let (profiles, features, analytics) = stack.stores()?;
        let brand = BrandId::new(brand)?;
        let mut buyers: BTreeMap<String, Buyer> = BTreeMap::new();
        let mut after: Option<ProfileId> = None;
        loop {
            let page = profiles.list(&brand, after, 500).await?;
            let Some(last) = page.last() else { break };
            after = Some(last.profile_id);
            let people = page
                .iter()
                .map(|p| (p.profile_id, p.origins.clone()))
                .collect();
            let features = features.of_people(&people, UnixMillis(0)).await?;
            for person in &page {
                let user = person
                    .identifiers
                    .first()
                    .context("nobody without identifiers")?;
                let features = features.get(&person.profile_id).context("features")?;
                buyers.insert(user.value.clone(), buyer(features));
            }
        }
        ensure!(buyers.len() == self.buyers.len(), "{} buyers", buyers.len());
        for (user, expected) in &self.buyers {
            let found = buyers
                .get(user)
                .with_context(|| format!("buyer {user} is missing"))?;
            let same = (found.orders, found.cents, found.days.len())
                == (expected.orders, expected.cents, expected.days.len());
            ensure!(same, "buyer {user}: {found:?} instead of {expected:?}");
        }
        self.check_days(&analytics, brand).await
    }

    async fn check_days(&self, analytics: &stores::Analytics, brand_id: BrandId) -> Result<()> {
        let query = BucketQuery {
            brand_id,
            grain: Grain::Day,
            event_type: Some("purchase".to_owned()),
            from: UnixMillis(0),
            to: UnixMillis(i64::MAX),
            limit: 100_000,
        };
        let buckets = analytics.buckets(&query).await?;
        let days: BTreeMap<String, (i64, i64)> = buckets
            .iter()
            .map(|bucket| {
                let day = bucket
                    .start
                    .to_string()
                    .get(..10)
                    .unwrap_or_default()
                    .to_owned();
                (day, (bucket.events, bucket.amount_minor))
            })
            .collect();
        ensure!(
            days == self.by_day,
            "daily revenue differs: {days:?} / {:?}",
            self.by_day
        );
        Ok(())
    }
}

/// The features know how many purchase days there were, not which.
fn buyer(features: &PersonFeatures) -> Buyer {
    Buyer {
        orders: features.orders,
        cents: features
            .revenue
            .iter()
            .map(|revenue| revenue.amount_minor)
            .sum(),
        days: (0..features.purchase_days)
            .map(|day| day.to_string())
            .collect(),
    }
}
