//! The independent ledger: what the test sent and the API accepted, added up by the test itself,
//! and compared with what is in SQL at the end.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context as _, Result, ensure};
use common::{BrandId, ProfileId, UnixMillis};
use stores::{Analytics, BucketQuery, Features, Grain, PersonFeatures, Profiles};

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
    days: BTreeSet<String>,
}

/// What was accepted.
#[derive(Debug, Clone, Default)]
pub struct Ledger {
    buyers: BTreeMap<String, Buyer>,
    by_minute: BTreeMap<String, (i64, i64)>,
}

/// What SQL has otherwise than the ledger.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Differences {
    /// Sales that were accepted and are not there.
    pub lost: i64,
    /// Sales that are there more often than they were accepted.
    pub doubled: i64,
    /// Anything else, and whom or what it is about.
    pub details: Vec<String>,
}

impl Ledger {
    /// Notes an accepted sale.
    pub fn add(&mut self, sale: &Sale) {
        let day = sale.timestamp.get(..10).unwrap_or_default().to_owned();
        let buyer = self.buyers.entry(sale.user_id.clone()).or_default();
        buyer.orders += 1;
        buyer.cents += sale.cents;
        buyer.days.insert(day);
        let minute = sale.timestamp.get(..16).unwrap_or_default().to_owned();
        let (sales, cents) = self.by_minute.entry(minute).or_default();
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

    /// How many people bought something.
    pub fn buyers(&self) -> usize {
        self.buyers.len()
    }

    /// Compares with SQL: every buyer and every minute, nothing lost, nothing doubled, nobody else.
    pub async fn check(&self, stack: &Stack, brand: &str) -> Result<()> {
        let differences = self.compare(&stack.stores()?, brand).await?;
        ensure!(differences == Differences::default(), "{differences:?}");
        Ok(())
    }

    /// What SQL has otherwise. Where every sale has a minute of its own, a lost one cannot hide
    /// behind a doubled one.
    pub async fn compare(
        &self,
        (profiles, features, analytics): &(Profiles, Features, Analytics),
        brand: &str,
    ) -> Result<Differences> {
        let brand = BrandId::new(brand)?;
        let mut differences = Differences::default();
        let found = buyers(profiles, features, &brand).await?;
        let everybody: BTreeSet<&String> = self.buyers.keys().chain(found.keys()).collect();
        for user in everybody {
            let (expected, found) = (self.buyers.get(user), found.get(user));
            let same = match (expected, found) {
                (Some(expected), Some(found)) => {
                    (found.orders, found.cents, found.days.len())
                        == (expected.orders, expected.cents, expected.days.len())
                }
                (Some(_) | None, _) => false,
            };
            if !same {
                let detail = format!("buyer {user}: {found:?} instead of {expected:?}");
                differences.details.push(detail);
            }
        }
        self.compare_minutes(analytics, brand, &mut differences)
            .await?;
        Ok(differences)
    }

    async fn compare_minutes(
        &self,
        analytics: &Analytics,
        brand_id: BrandId,
        differences: &mut Differences,
    ) -> Result<()> {
        let query = BucketQuery {
            brand_id,
            grain: Grain::Minute,
            event_type: Some("purchase".to_owned()),
            from: UnixMillis(0),
            to: UnixMillis(i64::MAX),
            limit: 1_000_000,
        };
        let buckets = analytics.buckets(&query).await?;
        let found: BTreeMap<String, (i64, i64)> = buckets
            .iter()
            .map(|bucket| {
                let start = bucket.start.to_string();
                let minute = start.get(..16).unwrap_or_default().to_owned();
                (minute, (bucket.events, bucket.amount_minor))
            })
            .collect();
        let minutes: BTreeSet<&String> = self.by_minute.keys().chain(found.keys()).collect();
        for minute in minutes {
            let (expected, cents) = self.by_minute.get(minute).copied().unwrap_or_default();
            let (events, found_cents) = found.get(minute).copied().unwrap_or_default();
            differences.lost += (expected - events).max(0);
            differences.doubled += (events - expected).max(0);
            if events == expected && cents != found_cents {
                let detail = format!("{minute}: {found_cents} cents instead of {cents}");
                differences.details.push(detail);
            }
        }
        Ok(())
    }
}

/// Everybody whom SQL knows of a brand.
async fn buyers(
    profiles: &Profiles,
    features: &Features,
    brand: &BrandId,
) -> Result<BTreeMap<String, Buyer>> {
    let mut buyers: BTreeMap<String, Buyer> = BTreeMap::new();
    let mut after: Option<ProfileId> = None;
    loop {
        let page = profiles.list(brand, after, 500).await?;
        let Some(last) = page.last() else { break };
        after = Some(last.profile_id);
        let people = page
            .iter()
            .map(|person| (person.profile_id, person.origins.clone()))
            .collect();
        let features = features.of_people(&people, UnixMillis(0)).await?;
        for person in &page {
            let user = person
                .identifiers
                .first()
                .context("nobody without identifiers")?;
            // Somebody whose first event is not applied yet has no facts.
            let facts = features.get(&person.profile_id).map(buyer);
            buyers.insert(user.value.clone(), facts.unwrap_or_default());
        }
    }
    Ok(buyers)
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
