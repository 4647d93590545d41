//! Who flushes what.

use std::time::Duration;

use common::{AgentId, UnixMillis};
use crash_points::{CrashPoint, reached};
use futures_util::TryStreamExt as _;
use mongodb::bson::{Document, doc};

use super::records::{ELEMENT, FLUSH, Flush, content, date, flush_id, moment};
use super::{COLLECTION, MongoFeedbackBatches};
use crate::error::StoreError;
use crate::feedback::batches::{FlushLease, TakenBatch};
use crate::feedback::{age, elements};
use crate::mongo::number;

const DOING: &str = "taking a batch of feedback";
/// How often a batch is looked for behind a flush that had finished and was not forgotten.
const TRIES_MAX: u32 = 3;
/// Bytes of elements, as they are stored, that one instance is given to flush at once.
const BYTES_MAX: u64 = 8 << 20;
/// Takers whose marks are remembered. One that was as many takers ago and still marks would find
/// nothing that it can mark.
const TOKENS_MAX: usize = 16;

pub(super) async fn take(
    store: &MongoFeedbackBatches,
    agent: &AgentId,
    lease: &FlushLease,
) -> Result<Option<TakenBatch>, StoreError> {
    for _ in 0..TRIES_MAX {
        let now = store.now().await?;
        let until = plus(now, lease.length);
        let attempts = match flush_of(store, agent).await? {
            Some(flush) if flush.until > now => None,
            Some(flush) => take_over(store, &flush, (&lease.token, until)).await?,
            None => begin(store, agent, (lease, until)).await?,
        };
        let Some(attempts) = attempts else {
            return Ok(None);
        };
        let taken = read(store, (agent, &lease.token), (attempts, now)).await?;
        if !taken.items.is_empty() || !taken.unreadable.is_empty() {
            reached(CrashPoint::StoresFeedbackTaken);
            return Ok(Some(taken));
        }
        // All of it was dropped, and whoever did that died before it forgot the flush.
        forget(store, agent, &lease.token).await?;
    }
    Ok(None)
}

pub(super) async fn renew(
    store: &MongoFeedbackBatches,
    batch: &TakenBatch,
    length: Duration,
) -> Result<bool, StoreError> {
    let until = plus(store.now().await?, length);
    let renewed = doc! { "$set": { "until": date(until) } };
    let doing = "renewing the lease of a batch";
    let own = own(&batch.agent_id, &batch.token);
    Ok(store.update(doing, own, renewed).await? > 0)
}

pub(super) async fn release(
    store: &MongoFeedbackBatches,
    batch: &TakenBatch,
    wait: Duration,
) -> Result<(), StoreError> {
    let until = plus(store.now().await?, wait);
    let released = doc! { "$set": { "token": "", "until": date(until) } };
    let own = own(&batch.agent_id, &batch.token);
    store
        .update("releasing a batch", own, released)
        .await
        .map(drop)
}

pub(super) async fn finish(
    store: &MongoFeedbackBatches,
    batch: &TakenBatch,
) -> Result<bool, StoreError> {
    reached(CrashPoint::StoresFeedbackFinishing);
    let held = flush_of(store, &batch.agent_id).await?;
    if held.is_none_or(|flush| flush.token != batch.token) {
        return Ok(false);
    }
    let marked = marked_by(&batch.agent_id, &batch.token);
    store.delete("dropping a batch", marked).await?;
    forget(store, &batch.agent_id, &batch.token).await
}

async fn forget(
    store: &MongoFeedbackBatches,
    agent: &AgentId,
    token: &str,
) -> Result<bool, StoreError> {
    let removed = store
        .delete("forgetting a flush", own(agent, token))
        .await?;
    Ok(removed > 0)
}

async fn flush_of(
    store: &MongoFeedbackBatches,
    agent: &AgentId,
) -> Result<Option<Flush>, StoreError> {
    let collection = store
        .link
        .database()
        .await?
        .collection::<Document>(COLLECTION);
    let filter = doc! { "_id": flush_id(agent) };
    let found = store
        .link
        .bounded(DOING, async { collection.find_one(filter).await });
    found.await?.as_ref().map(Flush::read).transpose()
}

/// Follows a flush that died or was given up; gives how often it was taken, or nothing if somebody
/// else was faster.
async fn take_over(
    store: &MongoFeedbackBatches,
    flush: &Flush,
    (token, until): (&str, UnixMillis),
) -> Result<Option<u32>, StoreError> {
    let as_it_was = doc! {
        "_id": flush_id(&flush.agent), "token": &flush.token, "until": date(flush.until),
    };
    let next = doc! {
        "$set": { "token": token, "until": date(until) },
        "$inc": { "attempts": 1 },
        "$push": { "tokens": token },
    };
    if store.update(DOING, as_it_was, next).await? == 0 {
        return Ok(None);
    }
    let marked = doc! {
        "kind": ELEMENT, "agentId": flush.agent.as_str(), "flush": { "$in": &flush.tokens },
    };
    let mark = doc! { "$set": { "flush": token } };
    store.update(DOING, marked, mark).await?;
    if flush.tokens.len() >= TOKENS_MAX {
        let only = doc! { "$set": { "tokens": [token] } };
        store.update(DOING, own(&flush.agent, token), only).await?;
    }
    Ok(Some(flush.attempts.saturating_add(1)))
}

/// Begins a flush; gives that it is the first, or nothing if nothing waits or somebody was faster.
async fn begin(
    store: &MongoFeedbackBatches,
    agent: &AgentId,
    (lease, until): (&FlushLease, UnixMillis),
) -> Result<Option<u32>, StoreError> {
    let Some(last) = last_to_take(store, agent, lease.items_max).await? else {
        return Ok(None);
    };
    let token = lease.token.as_str();
    let flush = doc! {
        "_id": flush_id(agent), "kind": FLUSH, "agentId": agent.as_str(), "token": token,
        "until": date(until), "attempts": 1, "tokens": [token],
    };
    let command = doc! { "insert": COLLECTION, "documents": [flush] };
    if !store.write(DOING, command).await?.failed.is_empty() {
        return Ok(None);
    }
    let oldest = doc! {
        "kind": ELEMENT, "agentId": agent.as_str(), "order": { "$lte": last },
    };
    let mark = doc! { "$set": { "flush": token } };
    store.update(DOING, oldest, mark).await?;
    Ok(Some(1))
}

/// The place of the last element that is to be taken; one is taken at least.
async fn last_to_take(
    store: &MongoFeedbackBatches,
    agent: &AgentId,
    items_max: usize,
) -> Result<Option<i64>, StoreError> {
    let most = i64::try_from(items_max.max(1)).unwrap_or(i64::MAX);
    let collection = store
        .link
        .database()
        .await?
        .collection::<Document>(COLLECTION);
    let read = store.link.bounded(DOING, async {
        let find = collection
            .find(doc! { "kind": ELEMENT, "agentId": agent.as_str() })
            .sort(doc! { "order": 1 })
            .projection(doc! { "order": 1, "items": 1, "bytes": 1 })
            .limit(most);
        find.await?.try_collect::<Vec<Document>>().await
    });
    let (mut items, mut bytes, mut last) = (0_u64, 0_u64, None);
    for element in read.await? {
        items = items.saturating_add(number(&element, "items").unwrap_or(1));
        bytes = bytes.saturating_add(number(&element, "bytes").unwrap_or(0));
        let fits = usize::try_from(items).is_ok_and(|items| items <= items_max);
        let has_room = fits && bytes <= BYTES_MAX;
        if last.is_some() && !has_room {
            break;
        }
        last = element.get_i64("order").ok();
    }
    Ok(last)
}

/// What has a taker's mark.
async fn read(
    store: &MongoFeedbackBatches,
    (agent, token): (&AgentId, &str),
    (attempts, now): (u32, UnixMillis),
) -> Result<TakenBatch, StoreError> {
    let collection = store
        .link
        .database()
        .await?
        .collection::<Document>(COLLECTION);
    let read = store.link.bounded(DOING, async {
        let find = collection
            .find(marked_by(agent, token))
            .sort(doc! { "order": 1 });
        find.await?.try_collect::<Vec<Document>>().await
    });
    let read = read.await?;
    let created_at = read.iter().filter_map(|element| moment(element, "addedAt"));
    let created_at = created_at.min().unwrap_or(now);
    let decoded = elements::decode(read.iter().map(content));
    Ok(TakenBatch {
        agent_id: agent.clone(),
        token: token.to_owned(),
        items: decoded.items,
        unreadable: decoded.unreadable,
        attempts,
        age: age(created_at, now),
    })
}

/// The flush of an agent, if it is the taker's.
fn own(agent: &AgentId, token: &str) -> Document {
    doc! { "_id": flush_id(agent), "token": token }
}

fn marked_by(agent: &AgentId, token: &str) -> Document {
    doc! { "kind": ELEMENT, "agentId": agent.as_str(), "flush": token }
}

fn plus(moment: UnixMillis, duration: Duration) -> UnixMillis {
    let millis = i64::try_from(duration.as_millis()).unwrap_or(i64::MAX);
    UnixMillis(moment.0.saturating_add(millis))
}
