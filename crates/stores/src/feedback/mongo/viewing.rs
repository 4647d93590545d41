//! What is due, and the batches from outside.

use std::collections::BTreeMap;

use common::{AgentId, UnixMillis};
use mongodb::bson::doc;

use super::MongoFeedbackBatches;
use super::records::{ELEMENT, FLUSH, Flush, date};
use super::scanning::{Batches, Tally, scan};
use crate::error::StoreError;
use crate::feedback::age;
use crate::feedback::batches::{BatchOverview, BatchState, BatchesOverview, DueWhen};
use crate::feedback::ranking::{Rank, Ranking};

pub(super) async fn due(
    store: &MongoFeedbackBatches,
    when: &DueWhen,
    count: usize,
) -> Result<Vec<AgentId>, StoreError> {
    let now = store.now().await?;
    let mut ranking = Ranking::of(count);
    scan(store, None, |batches| {
        if let Some(rank) = rank(batches, when, now) {
            ranking.add(rank);
        }
    })
    .await?;
    Ok(ranking.into_iter().map(|rank| rank.agent).collect())
}

/// The place of an agent among those that are due, if it is.
fn rank(batches: Batches, when: &DueWhen, now: UnixMillis) -> Option<Rank> {
    let is_held = batches
        .flush
        .as_ref()
        .is_some_and(|flush| flush.until > now);
    if is_held {
        return None;
    }
    let (tally, is_due) = if batches.flushing.items > 0 {
        (&batches.flushing, true)
    } else {
        (&batches.open, is_due(&batches.open, when, now))
    };
    is_due.then(|| Rank::new(tally.urgent, tally.created_at, batches.agent.clone()))
}

fn is_due(open: &Tally, when: &DueWhen, now: UnixMillis) -> bool {
    let age = age(open.created_at, now);
    open.requested
        || open.items >= when.items
        || age >= when.age
        || (open.urgent && age >= when.urgent_age)
}

pub(super) async fn request(
    store: &MongoFeedbackBatches,
    agent: Option<&AgentId>,
) -> Result<u64, StoreError> {
    let doing = "asking for a flush";
    let now = store.now().await?;
    let mut requested = 0;
    scan(store, agent, |batches| {
        requested += u64::from(batches.open.items > 0);
        let waits = batches.flush.is_some_and(|flush| !is_flushing(&flush, now));
        requested += u64::from(waits && batches.flushing.items > 0);
    })
    .await?;
    let mut elements = doc! { "kind": ELEMENT };
    let mut given_up = doc! { "kind": FLUSH, "token": "" };
    if let Some(agent) = agent {
        elements.insert("agentId", agent.as_str());
        given_up.insert("agentId", agent.as_str());
    }
    let wanted = doc! { "$set": { "requested": true } };
    store.update(doing, elements, wanted).await?;
    let at_once = doc! { "$set": { "until": date(now) } };
    store.update(doing, given_up, at_once).await?;
    Ok(requested)
}

pub(super) async fn overview(
    store: &MongoFeedbackBatches,
    count: usize,
) -> Result<BatchesOverview, StoreError> {
    let now = store.now().await?;
    let mut overview = BatchesOverview::default();
    let mut oldest = BTreeMap::new();
    scan(store, None, |batches| {
        for batch in views(&batches, now) {
            overview.total_batches += 1;
            overview.total_items = overview.total_items.saturating_add(batch.items);
            let is_open = batch.state == BatchState::Open;
            let key = (batch.created_at, batch.agent_id.clone(), is_open);
            oldest.insert(key, batch);
            if oldest.len() > count {
                oldest.pop_last();
            }
        }
    })
    .await?;
    overview.batches = oldest.into_values().collect();
    Ok(overview)
}

pub(super) async fn of_agent(
    store: &MongoFeedbackBatches,
    agent: &AgentId,
) -> Result<Vec<BatchOverview>, StoreError> {
    let now = store.now().await?;
    let mut found = Vec::new();
    scan(store, Some(agent), |batches| {
        found.extend(views(&batches, now));
    })
    .await?;
    Ok(found)
}

/// The one that is flushed first, then the one that grows.
fn views(batches: &Batches, now: UnixMillis) -> impl Iterator<Item = BatchOverview> {
    let flush = batches.flush.as_ref();
    let flushing = flush.is_some_and(|flush| is_flushing(flush, now));
    let state = if flushing {
        BatchState::Flushing
    } else {
        BatchState::Waiting
    };
    let attempts = flush.map_or(0, |flush| flush.attempts);
    [
        (&batches.flushing, state, attempts),
        (&batches.open, BatchState::Open, 0),
    ]
    .map(|(tally, state, attempts)| {
        (tally.items > 0).then(|| BatchOverview {
            agent_id: batches.agent.clone(),
            state,
            items: tally.items,
            bytes: tally.bytes,
            created_at: tally.created_at,
            last_item_at: tally.last_item_at,
            age: age(tally.created_at, now),
            urgent: tally.urgent,
            attempts,
        })
    })
    .into_iter()
    .flatten()
}

fn is_flushing(flush: &Flush, now: UnixMillis) -> bool {
    !flush.token.is_empty() && flush.until > now
}
