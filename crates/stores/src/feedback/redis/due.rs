//! Which batches are due.

use std::collections::HashSet;
use std::time::Duration;

use common::keys::{FeedbackBatchesIndexKey, FeedbackFlushesKey, FeedbackRequestedKey};
use common::{AgentId, UnixMillis};
use redis_link::Link;

use super::pages::{self, OpenBatch, Pages};
use super::scripts::REQUEST;
use super::{keys, reply};
use crate::error::StoreError;
use crate::feedback::batches::DueWhen;
use crate::feedback::ranking::{Rank, Ranking};

pub(super) async fn due(
    link: &Link,
    when: &DueWhen,
    count: usize,
) -> Result<Vec<AgentId>, StoreError> {
    let now = pages::now(link).await?;
    let mut ranking = Ranking::of(count);
    let mut flushes = Pages::of_flushes();
    while let Some(page) = flushes.next(link).await? {
        for flush in pages::flushes(link, page).await? {
            if flush.until <= now {
                let created_at = flush.meta.map_or(UnixMillis(0), |meta| meta.created_at);
                ranking.add(Rank::new(flush.is_urgent, created_at, flush.agent));
            }
        }
    }
    let mut index = Pages::of_index();
    while let Some(page) = index.next(link).await? {
        for batch in pages::open_batches(link, pages::agents(page)).await? {
            if !batch.has_flush && is_due(&batch, when, now) {
                let created_at = batch.meta.map_or(UnixMillis(0), |meta| meta.created_at);
                ranking.add(Rank::new(batch.is_urgent, created_at, batch.agent));
            }
        }
    }
    let mut seen = HashSet::new();
    let mut agents: Vec<AgentId> = ranking.into_iter().map(|rank| rank.agent).collect();
    agents.retain(|agent| seen.insert(agent.clone()));
    Ok(agents)
}

fn is_due(batch: &OpenBatch, when: &DueWhen, now: UnixMillis) -> bool {
    // Of a batch with a damaged meta nobody knows how long it has waited.
    let age = batch.meta.map_or(Duration::MAX, |meta| meta.age(now));
    batch.is_requested
        || batch.items >= when.items
        || age >= when.age
        || (batch.is_urgent && age >= when.urgent_age)
}

pub(super) async fn request(link: &Link, agent: Option<&AgentId>) -> Result<u64, StoreError> {
    if let Some(agent) = agent {
        return request_of(link, std::slice::from_ref(agent)).await;
    }
    let mut requested = 0;
    // An agent with a flush and an open batch is on both lists; the first makes both due.
    let mut flushes = Pages::of_flushes();
    let mut index = Pages::of_index();
    while let Some(page) = flushes.next(link).await? {
        let of_page = pages::flushes(link, page).await?;
        let agents: Vec<AgentId> = of_page.into_iter().map(|flush| flush.agent).collect();
        requested += request_of(link, &agents).await?;
    }
    while let Some(page) = index.next(link).await? {
        let batches = pages::open_batches(link, pages::agents(page)).await?;
        let alone = batches.into_iter().filter(|batch| !batch.has_flush);
        let agents: Vec<AgentId> = alone.map(|batch| batch.agent).collect();
        requested += request_of(link, &agents).await?;
    }
    Ok(requested)
}

async fn request_of(link: &Link, agents: &[AgentId]) -> Result<u64, StoreError> {
    if agents.is_empty() {
        return Ok(0);
    }
    let mut command = REQUEST.command(3 + 2 * agents.len());
    command
        .arg(FeedbackBatchesIndexKey.to_string())
        .arg(FeedbackRequestedKey.to_string())
        .arg(FeedbackFlushesKey.to_string());
    for agent in agents {
        command
            .arg(keys::batch(agent))
            .arg(keys::flush_state(agent));
    }
    for agent in agents {
        command.arg(agent.as_str());
    }
    reply::number(link.run(&REQUEST, &command).await?)
}
