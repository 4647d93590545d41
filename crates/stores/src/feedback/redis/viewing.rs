//! The batches from outside.

use common::keys::{FeedbackFlushesKey, FeedbackUrgentKey};
use common::{AgentId, UnixMillis};
use redis_link::{Link, LinkError, Pipeline, Replies, Value, pipe};

use super::meta::Meta;
use super::pages::{self, Flush, OpenBatch, Pages};
use super::{keys, reply};
use crate::error::StoreError;
use crate::feedback::batches::{BatchOverview, BatchState, BatchesOverview};
use crate::feedback::ranking::Ranking;

/// When its first item came, whose it is, whether it is flushed: the order of an overview.
type Place = (UnixMillis, AgentId, bool);

pub(super) async fn overview(link: &Link, count: usize) -> Result<BatchesOverview, StoreError> {
    let now = pages::now(link).await?;
    let mut overview = BatchesOverview::default();
    let mut oldest: Ranking<Placed> = Ranking::of(count);
    // Open ones first: what is taken meanwhile is then seen twice, and never overlooked.
    let mut index = Pages::of_index();
    while let Some(page) = index.next(link).await? {
        for batch in pages::open_batches(link, pages::agents(page)).await? {
            overview.count(of_open(batch, 0, now), &mut oldest);
        }
    }
    let mut flushes = Pages::of_flushes();
    while let Some(page) = flushes.next(link).await? {
        for flush in pages::flushes(link, page).await? {
            let items = flush.meta.map_or(0, |meta| meta.items);
            overview.count(of_flush(flush, (items, 0), now), &mut oldest);
        }
    }
    overview.batches = oldest.into_iter().map(|placed| placed.batch).collect();
    measure(link, &mut overview.batches).await?;
    Ok(overview)
}

impl BatchesOverview {
    fn count(&mut self, batch: BatchOverview, oldest: &mut Ranking<Placed>) {
        self.total_batches += 1;
        self.total_items += batch.items;
        let is_flush = batch.state != BatchState::Open;
        let place = (batch.created_at, batch.agent_id.clone(), is_flush);
        oldest.add(Placed { place, batch });
    }
}

/// A batch ordered by its place.
#[derive(Debug)]
struct Placed {
    place: Place,
    batch: BatchOverview,
}

impl PartialEq for Placed {
    fn eq(&self, other: &Self) -> bool {
        self.place == other.place
    }
}

impl Eq for Placed {}

impl PartialOrd for Placed {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Placed {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.place.cmp(&other.place)
    }
}

/// Asks for the sizes of a few batches.
async fn measure(link: &Link, batches: &mut [BatchOverview]) -> Result<(), StoreError> {
    if batches.is_empty() {
        return Ok(());
    }
    let mut pipeline = pipe();
    for batch in batches.iter() {
        ask_size(
            &mut pipeline,
            match batch.state {
                BatchState::Open => keys::batch(&batch.agent_id),
                BatchState::Flushing | BatchState::Waiting => keys::flush(&batch.agent_id),
            },
        );
    }
    let sizes = link.send_all(&pipeline).await?;
    for (batch, size) in batches.iter_mut().zip(sizes) {
        batch.bytes = reply::number(size?)?;
    }
    Ok(())
}

/// What the server's memory holds for a list, looking at a few of its parts.
fn ask_size(pipeline: &mut Pipeline, list: String) {
    pipeline.cmd("MEMORY").arg("USAGE").arg(list);
}

pub(super) async fn of_agent(
    link: &Link,
    agent: &AgentId,
) -> Result<Vec<BatchOverview>, StoreError> {
    let mut pipeline = pipe();
    pipeline.atomic();
    pipeline.cmd("TIME");
    pipeline.cmd("LLEN").arg(keys::flush(agent));
    ask_size(&mut pipeline, keys::flush(agent));
    pipeline
        .cmd("ZSCORE")
        .arg(FeedbackFlushesKey.to_string())
        .arg(agent.as_str());
    pages::ask_state(&mut pipeline, agent);
    pipeline.cmd("LLEN").arg(keys::batch(agent));
    ask_size(&mut pipeline, keys::batch(agent));
    pipeline.cmd("GET").arg(keys::meta(agent));
    pipeline
        .cmd("SISMEMBER")
        .arg(FeedbackUrgentKey.to_string())
        .arg(agent.as_str());
    read_agent(agent, link.send_transaction(&pipeline).await?)
}

fn read_agent(agent: &AgentId, replies: Replies) -> Result<Vec<BatchOverview>, StoreError> {
    let mut replies = replies.into_iter();
    let mut next = || replies.next().unwrap_or(Ok(Value::Nil));
    let now = pages::time(next()?)?;
    let (elements, bytes) = (reply::number(next()?)?, reply::number(next()?)?);
    let until = UnixMillis(reply::moment(next()?)?.unwrap_or(0));
    let state = next()?;
    let mut batches = Vec::new();
    if elements > 0 {
        let flush = pages::flush(agent.clone(), until, state)?;
        let items = flush.meta.map_or(0, |meta| meta.items).max(elements);
        batches.push(of_flush(flush, (items, bytes), now));
    }
    let (elements, bytes) = (reply::number(next()?)?, reply::number(next()?)?);
    if elements > 0 {
        let meta = value_of_meta(next())?;
        let batch = OpenBatch {
            agent: agent.clone(),
            meta,
            items: meta.map_or(0, |meta| meta.items).max(elements),
            is_urgent: reply::flag(next()?)?,
            is_requested: false,
            has_flush: false,
        };
        batches.push(of_open(batch, bytes, now));
    }
    Ok(batches)
}

/// A meta that is no string is as good as none.
fn value_of_meta(reply: Result<Value, LinkError>) -> Result<Option<Meta>, StoreError> {
    match reply {
        Ok(text) => Ok(reply::optional_text(text).and_then(|text| Meta::parse(&text))),
        Err(error) if error.code() == Some("WRONGTYPE") => Ok(None),
        Err(error) => Err(error.into()),
    }
}

fn of_open(batch: OpenBatch, bytes: u64, now: UnixMillis) -> BatchOverview {
    let meta = batch.meta.unwrap_or(Meta::unknown(now));
    BatchOverview {
        agent_id: batch.agent,
        state: BatchState::Open,
        items: batch.items,
        bytes,
        created_at: meta.created_at,
        last_item_at: meta.last_item_at,
        age: meta.age(now),
        urgent: batch.is_urgent,
        attempts: 0,
    }
}

fn of_flush(flush: Flush, (items, bytes): (u64, u64), now: UnixMillis) -> BatchOverview {
    let meta = flush.meta.unwrap_or(Meta::unknown(now));
    let is_held = !flush.is_released && flush.until > now;
    BatchOverview {
        agent_id: flush.agent,
        state: if is_held {
            BatchState::Flushing
        } else {
            BatchState::Waiting
        },
        items,
        bytes,
        created_at: meta.created_at,
        last_item_at: meta.last_item_at,
        age: meta.age(now),
        urgent: flush.is_urgent,
        attempts: flush.attempts,
    }
}
