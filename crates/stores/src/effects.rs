//! The effects of events: facts of origins, analytics of brands, orders that were counted, and what
//! is to be published because of them. One transaction for a batch, the ledger included.

mod aggregate;

use std::collections::{BTreeMap, HashSet};
use std::time::Duration;

use common::{BrandId, EventId, EventType, ProfileId, UnixMillis};
use crash_points::{CrashPoint, reached};
use sqlx::{AnyConnection, AssertSqlSafe, Row as _};

use self::aggregate::Aggregates;
use crate::error::StoreError;
use crate::id_ranges::{Id, IdRanges};
use crate::ledger;
use crate::outbox::{self, OutboxMessage};
use crate::sql::{Column, Database, Rows, fetch_with};

/// The id of the message that told of an event: the two numbers that order it in its topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MessageKey {
    /// Orders first.
    pub major: u64,
    /// Orders messages of the same `major`.
    pub minor: u64,
}

/// What one event says that counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventFact {
    /// The message that told of it.
    pub message: MessageKey,
    /// The event.
    pub event_id: EventId,
    /// Whose event it is.
    pub brand_id: BrandId,
    /// What happened.
    pub event_type: EventType,
    /// When it happened.
    pub at: UnixMillis,
    /// The origin that its facts belong to; without one it counts for the brand only.
    pub origin_id: Option<ProfileId>,
    /// The person as known then.
    pub profile_id: Option<ProfileId>,
    /// What was bought, if something was.
    pub purchase: Option<Purchase>,
}

/// A purchase.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Purchase {
    /// The order: it counts once, whatever the ids of the events that tell of it.
    pub order_id: Option<String>,
    /// ISO 4217.
    pub currency: String,
    /// In the currency's minor unit.
    pub amount_minor: i64,
}

/// When predictions are asked for anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PredictionPolicy {
    /// At most once for a person in so long.
    pub interval: Duration,
}

/// What a batch came to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Applied {
    /// Facts that count now.
    pub counted: usize,
    /// Facts that had been applied before; they changed nothing.
    pub repeats: usize,
    /// Indexes of purchases whose order had been counted before.
    pub repeated_orders: Vec<usize>,
    /// People whose predictions are to be asked for.
    pub requested: Vec<(ProfileId, BrandId)>,
}

/// A fact with its index in the batch.
type Indexed<'a> = (usize, &'a EventFact);
/// Brand and order id.
type OrderKey<'a> = (&'a str, &'a str);

/// Where the effects of events are.
#[derive(Debug, Clone)]
pub struct Features {
    pub(crate) database: Database,
}

impl Features {
    /// The features in a database.
    pub fn new(database: Database) -> Self {
        Self { database }
    }

    /// Applies facts, each message at most once. `repeats_possible` tells that some message may
    /// have been processed before. `causes` says what is to be published because of what was
    /// applied; it is committed with it.
    pub async fn apply(
        &self,
        stage: &str,
        facts: &[EventFact],
        (repeats_possible, policy, now): (bool, PredictionPolicy, UnixMillis),
        causes: impl Fn(&Applied) -> Vec<OutboxMessage> + Send,
    ) -> Result<Applied, StoreError> {
        let mut transaction = self.database.begin().await?;
        let connection = &mut *transaction;
        let ids = facts.iter().map(|fact| id_of(fact.message));
        ledger::lock(connection, self.database.engine(), stage, repeats_possible).await?;
        let before = ledger::applied(connection, stage, IdRanges::of(ids)).await?;
        let mut seen: HashSet<MessageKey> = HashSet::with_capacity(facts.len());
        let fresh: Vec<Indexed<'_>> = facts
            .iter()
            .enumerate()
            .filter(|(_, fact)| !before.contains(id_of(fact.message)) && seen.insert(fact.message))
            .collect();
        let mut applied = Applied {
            repeats: facts.len() - fresh.len(),
            ..Applied::default()
        };
        if fresh.is_empty() {
            return Ok(applied);
        }
        let counted = self.count_orders(connection, &fresh, now).await?;
        let (counting, repeated): (Vec<_>, Vec<_>) = fresh
            .iter()
            .copied()
            .partition(|(index, _)| counted.contains(index));
        applied.counted = counting.len();
        applied.repeated_orders = repeated.iter().map(|(index, _)| *index).collect();
        let aggregates = Aggregates::of(counting.iter().map(|(_, fact)| *fact));
        aggregates.write(connection, &self.database).await?;
        let buyers = buyers(&counting);
        let due = now.minus(policy.interval);
        applied.requested = self.request(connection, &buyers, (due, now)).await?;
        outbox::add(connection, &self.database, &causes(&applied), now).await?;
        let ids = fresh.iter().map(|(_, fact)| id_of(fact.message));
        ledger::add(connection, stage, ids, now).await?;
        reached(CrashPoint::StoresEffectsCommitting);
        let committed = transaction.commit().await;
        committed.map_err(|error| StoreError::of("committing the effects of events", error))?;
        reached(CrashPoint::StoresEffectsCommitted);
        Ok(applied)
    }

    /// Asks again for the predictions of people who were asked for last before `before`.
    pub async fn request_stale(
        &self,
        before: UnixMillis,
        (count, now): (u32, UnixMillis),
        causes: impl Fn(&[(ProfileId, BrandId)]) -> Vec<OutboxMessage> + Send,
    ) -> Result<usize, StoreError> {
        let mut transaction = self.database.begin().await?;
        let rows = sqlx::query(
            "SELECT profile_id, brand_id FROM prediction_requests WHERE requested_at < $1 \
             ORDER BY requested_at, profile_id LIMIT $2",
        )
        .bind(before.0)
        .bind(i64::from(count))
        .fetch_all(&mut *transaction)
        .await
        .map_err(|error| StoreError::of("looking for stale predictions", error))?;
        // Found without a lock and noted in the order in which everybody locks them: somebody
        // whose predictions were asked for meanwhile is left out there.
        let found = rows
            .into_iter()
            .map(person)
            .collect::<Result<BTreeMap<_, _>, _>>()?;
        let due = before.minus(Duration::from_millis(1));
        let stale = self.request(&mut transaction, &found, (due, now)).await?;
        outbox::add(&mut transaction, &self.database, &causes(&stale), now).await?;
        let committed = transaction.commit().await;
        committed.map_err(|error| StoreError::of("committing prediction requests", error))?;
        Ok(stale.len())
    }

    /// When a stage applied a message; `None` if it has not, or if that was forgotten since.
    pub async fn applied_at(
        &self,
        stage: &str,
        message: MessageKey,
    ) -> Result<Option<UnixMillis>, StoreError> {
        ledger::applied_at(&self.database, stage, id_of(message)).await
    }

    /// Forgets ledger entries of messages below `floor` that were applied before `before`.
    pub async fn prune_ledger(
        &self,
        stage: &str,
        floor: u64,
        before: UnixMillis,
    ) -> Result<u64, StoreError> {
        ledger::prune(&self.database, stage, floor, before).await
    }

    /// Remembers these messages, of those that were applied, as if they were applied now; those
    /// that were applied at `before` or later stay as they are. Gives how many entries.
    pub async fn keep_ledger(
        &self,
        stage: &str,
        messages: &[MessageKey],
        (before, now): (UnixMillis, UnixMillis),
    ) -> Result<u64, StoreError> {
        let ids = messages.iter().map(|message| id_of(*message));
        ledger::keep(&self.database, stage, ids, (before, now)).await
    }

    /// The indexes of facts that count: all but purchases whose order was counted before.
    async fn count_orders(
        &self,
        connection: &mut AnyConnection,
        facts: &[Indexed<'_>],
        now: UnixMillis,
    ) -> Result<HashSet<usize>, StoreError> {
        let mut counted: HashSet<usize> = facts.iter().map(|(index, _)| *index).collect();
        let mut orders: BTreeMap<OrderKey<'_>, Indexed<'_>> = BTreeMap::new();
        for (index, fact) in facts {
            let order = fact
                .purchase
                .as_ref()
                .and_then(|purchase| purchase.order_id.as_deref());
            let Some(order) = order else { continue };
            counted.remove(index);
            orders
                .entry((fact.brand_id.as_str(), order))
                .or_insert((*index, fact));
        }
        if orders.is_empty() {
            return Ok(counted);
        }
        let values: Vec<_> = orders
            .iter()
            .map(|((brand, order), (_, fact))| (*brand, *order, fact.event_id.to_string(), now.0))
            .collect();
        let rows = self.database.rows(&[
            Column::Text("brand_id"),
            Column::Text("order_id"),
            Column::Text("event_id"),
            Column::Number("counted_at"),
        ]);
        let statement = format!(
            "INSERT INTO orders (brand_id, order_id, event_id, counted_at) \
             SELECT v.brand_id, v.order_id, v.event_id, v.counted_at FROM {} WHERE true \
             ON CONFLICT (brand_id, order_id) DO NOTHING RETURNING brand_id, order_id",
            rows.table()
        );
        let doing = "counting orders";
        for row in fetch_with(connection, doing, statement, Rows::values(&values)?).await? {
            let brand: String = row
                .try_get(0)
                .map_err(|error| StoreError::of(doing, error))?;
            let order: String = row
                .try_get(1)
                .map_err(|error| StoreError::of(doing, error))?;
            counted.extend(
                orders
                    .get(&(brand.as_str(), order.as_str()))
                    .map(|(index, _)| *index),
            );
        }
        Ok(counted)
    }

    /// Notes that the predictions of these people are asked for; gives those whose time has come:
    /// those who were asked for last at `due` or before, or never.
    async fn request(
        &self,
        connection: &mut AnyConnection,
        people: &BTreeMap<ProfileId, BrandId>,
        (due, now): (UnixMillis, UnixMillis),
    ) -> Result<Vec<(ProfileId, BrandId)>, StoreError> {
        if people.is_empty() {
            return Ok(Vec::new());
        }
        let values: Vec<(String, &str, i64)> = people
            .iter()
            .map(|(profile, brand)| (profile.to_string(), brand.as_str(), now.0))
            .collect();
        let rows = self.database.rows(&[
            Column::Text("profile_id"),
            Column::Text("brand_id"),
            Column::Number("requested_at"),
        ]);
        // Noted by a clock that was wrong: it must not silence anybody.
        let far_ahead = now.0.saturating_add(now.0.saturating_sub(due.0));
        let statement = format!(
            "INSERT INTO prediction_requests (profile_id, brand_id, requested_at) \
             SELECT v.profile_id, v.brand_id, v.requested_at FROM {} WHERE true \
             ON CONFLICT (profile_id) DO UPDATE SET requested_at = excluded.requested_at \
             WHERE prediction_requests.requested_at <= $2 \
                 OR prediction_requests.requested_at > $3 \
             RETURNING profile_id, brand_id",
            rows.table(),
        );
        let rows = sqlx::query(AssertSqlSafe(statement))
            .bind(Rows::values(&values)?)
            .bind(due.0)
            .bind(far_ahead)
            .fetch_all(connection)
            .await
            .map_err(|error| StoreError::of("noting prediction requests", error))?;
        rows.into_iter().map(person).collect()
    }
}

fn id_of(message: MessageKey) -> Id {
    (message.major, message.minor)
}

fn buyers(facts: &[Indexed<'_>]) -> BTreeMap<ProfileId, BrandId> {
    let purchases = facts.iter().filter(|(_, fact)| fact.purchase.is_some());
    purchases
        .filter_map(|(_, fact)| Some((fact.profile_id?, fact.brand_id.clone())))
        .collect()
}

fn person(row: sqlx::any::AnyRow) -> Result<(ProfileId, BrandId), StoreError> {
    let doing = "reading a prediction request";
    let text = |index: usize| -> Result<String, StoreError> {
        row.try_get(index)
            .map_err(|error| StoreError::of(doing, error))
    };
    let (profile, brand) = (text(0)?, text(1)?);
    let corrupt = |detail: String| StoreError::Corrupt {
        table: "prediction_requests",
        detail,
    };
    Ok((
        profile.parse().map_err(|_| corrupt(profile))?,
        BrandId::new(brand.as_str()).map_err(|_| corrupt(brand))?,
    ))
}
