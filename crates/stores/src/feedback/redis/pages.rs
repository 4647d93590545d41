//! Reading all batches, a page at a time: there may be more than fit into memory here, and the
//! server must not stand still.

use common::keys::{
    FeedbackBatchesIndexKey, FeedbackFlushesKey, FeedbackRequestedKey, FeedbackUrgentKey,
};
use common::{AgentId, UnixMillis};
use redis_link::{Link, LinkError, Pipeline, Value, cmd, pipe};

use super::meta::Meta;
use super::scripts::FORGET;
use super::{keys, reply};
use crate::error::StoreError;

/// About so many agents are looked at together.
const PAGE: u32 = 500;

/// A batch that grows.
#[derive(Debug)]
pub(super) struct OpenBatch {
    pub(super) agent: AgentId,
    /// Nothing if somebody wrote something else there.
    pub(super) meta: Option<Meta>,
    pub(super) items: u64,
    pub(super) is_urgent: bool,
    pub(super) is_requested: bool,
    /// Whether another batch of the agent comes first.
    pub(super) has_flush: bool,
}

/// A batch that is flushed.
#[derive(Debug)]
pub(super) struct Flush {
    pub(super) agent: AgentId,
    pub(super) meta: Option<Meta>,
    pub(super) is_urgent: bool,
    pub(super) attempts: u32,
    /// Whether its flusher gave it up.
    pub(super) is_released: bool,
    /// When the lease or the wait is over.
    pub(super) until: UnixMillis,
}

/// The server's time.
pub(super) async fn now(link: &Link) -> Result<UnixMillis, StoreError> {
    time(link.send(&cmd("TIME")).await?)
}

/// The reply of `TIME`.
pub(super) fn time(answer: Value) -> Result<UnixMillis, StoreError> {
    let mut parts = reply::array(answer)?.into_iter().map(reply::signed);
    let mut next = || parts.next().unwrap_or(Ok(0));
    let (seconds, micros) = (next()?, next()?);
    Ok(UnixMillis(seconds * 1_000 + micros / 1_000))
}

/// Goes through a set or a sorted set.
#[derive(Debug)]
pub(super) struct Pages {
    command: &'static str,
    key: String,
    cursor: Option<String>,
}

impl Pages {
    /// Of the agents with an open batch.
    pub(super) fn of_index() -> Self {
        Self::of("SSCAN", FeedbackBatchesIndexKey.to_string())
    }

    /// Of the agents with a flush, each followed by the end of its lease or wait.
    pub(super) fn of_flushes() -> Self {
        Self::of("ZSCAN", FeedbackFlushesKey.to_string())
    }

    fn of(command: &'static str, key: String) -> Self {
        Self {
            command,
            key,
            cursor: Some("0".to_owned()),
        }
    }

    /// The next page; nothing after the last one.
    pub(super) async fn next(&mut self, link: &Link) -> Result<Option<Vec<Value>>, StoreError> {
        let Some(cursor) = self.cursor.take() else {
            return Ok(None);
        };
        let mut command = cmd(self.command);
        command.arg(&self.key).arg(cursor).arg("COUNT").arg(PAGE);
        let mut answer = reply::array(link.send(&command).await?)?.into_iter();
        let mut next = || answer.next().unwrap_or(Value::Nil);
        let cursor = reply::text(next())?;
        self.cursor = (cursor != "0").then_some(cursor);
        reply::array(next()).map(Some)
    }
}

/// The agents of a page. What is no agent's id was written by somebody else.
pub(super) fn agents(page: Vec<Value>) -> Vec<AgentId> {
    let texts = page.into_iter().filter_map(reply::optional_text);
    texts.filter_map(|text| AgentId::new(text).ok()).collect()
}

/// What is known of the open batches of some agents. Entries without a batch are removed.
pub(super) async fn open_batches(
    link: &Link,
    agents: Vec<AgentId>,
) -> Result<Vec<OpenBatch>, StoreError> {
    if agents.is_empty() {
        return Ok(Vec::new());
    }
    let mut replies = link.send_all(&questions(&agents)).await?.into_iter();
    let mut next = || replies.next().unwrap_or(Ok(Value::Nil));
    let [metas, urgent, requested, flushes] = [next()?, next()?, next()?, next()?];
    let mut columns = [metas, urgent, requested, flushes].map(|column| {
        let values = reply::array(column);
        values.map(Vec::into_iter)
    });
    let (mut open, mut gone) = (Vec::new(), Vec::new());
    for agent in agents {
        let mut cells = Vec::with_capacity(columns.len());
        for column in &mut columns {
            match column {
                Ok(column) => cells.push(column.next().unwrap_or(Value::Nil)),
                Err(_) => cells.push(Value::Nil),
            }
        }
        let length = match next() {
            Ok(length) => reply::number(length)?,
            // Somebody wrote something else there: it cannot be flushed until they remove it.
            Err(LinkError::Refused { code, .. }) if code == "WRONGTYPE" => {
                tracing::warn!(%agent, "the feedback batch of an agent is no list");
                continue;
            }
            Err(error) => return Err(error.into()),
        };
        if length == 0 {
            gone.push(agent);
            continue;
        }
        open.push(open_batch(agent, length, cells)?);
    }
    forget(link, &gone).await?;
    Ok(open)
}

fn questions(agents: &[AgentId]) -> Pipeline {
    let mut pipeline = pipe();
    pipeline.cmd("MGET");
    for agent in agents {
        pipeline.arg(keys::meta(agent));
    }
    let sets = [
        ("SMISMEMBER", FeedbackUrgentKey.to_string()),
        ("SMISMEMBER", FeedbackRequestedKey.to_string()),
        ("ZMSCORE", FeedbackFlushesKey.to_string()),
    ];
    for (command, key) in sets {
        pipeline.cmd(command).arg(key);
        for agent in agents {
            pipeline.arg(agent.as_str());
        }
    }
    for agent in agents {
        pipeline.cmd("LLEN").arg(keys::batch(agent));
    }
    pipeline
}

fn open_batch(agent: AgentId, length: u64, cells: Vec<Value>) -> Result<OpenBatch, StoreError> {
    let mut cells = cells.into_iter();
    let mut next = || cells.next().unwrap_or(Value::Nil);
    let meta = reply::optional_text(next()).and_then(|text| Meta::parse(&text));
    Ok(OpenBatch {
        agent,
        meta,
        // Other programs may add to a list and say nothing of it.
        items: meta.map_or(0, |meta| meta.items).max(length),
        is_urgent: reply::flag(next())?,
        is_requested: reply::flag(next())?,
        has_flush: reply::moment(next())?.is_some(),
    })
}

async fn forget(link: &Link, gone: &[AgentId]) -> Result<(), StoreError> {
    if gone.is_empty() {
        return Ok(());
    }
    let mut command = FORGET.command(3 + 2 * gone.len());
    command
        .arg(FeedbackBatchesIndexKey.to_string())
        .arg(FeedbackUrgentKey.to_string())
        .arg(FeedbackRequestedKey.to_string());
    for agent in gone {
        command.arg(keys::batch(agent)).arg(keys::meta(agent));
    }
    for agent in gone {
        command.arg(agent.as_str());
    }
    link.run(&FORGET, &command).await?;
    Ok(())
}

/// The flushes of a page of [`Pages::of_flushes`].
pub(super) async fn flushes(link: &Link, page: Vec<Value>) -> Result<Vec<Flush>, StoreError> {
    let mut values = page.into_iter();
    let mut scored = Vec::new();
    while let (Some(agent), Some(until)) = (values.next(), values.next()) {
        let agent = reply::optional_text(agent).and_then(|text| AgentId::new(text).ok());
        if let (Some(agent), Some(until)) = (agent, reply::moment(until)?) {
            scored.push((agent, UnixMillis(until)));
        }
    }
    if scored.is_empty() {
        return Ok(Vec::new());
    }
    let mut pipeline = pipe();
    for (agent, _) in &scored {
        ask_state(&mut pipeline, agent);
    }
    let states = link.send_all(&pipeline).await?;
    let pairs = scored.into_iter().zip(states);
    pairs
        .map(|((agent, until), state)| flush(agent, until, state?))
        .collect()
}

/// Asks what [`flush`] reads.
pub(super) fn ask_state(pipeline: &mut Pipeline, agent: &AgentId) {
    let command = pipeline.cmd("HMGET").arg(keys::flush_state(agent));
    command.arg(&["meta", "urgent", "attempts", "token"]);
}

pub(super) fn flush(agent: AgentId, until: UnixMillis, state: Value) -> Result<Flush, StoreError> {
    let mut fields = reply::array(state)?.into_iter();
    let mut next = || fields.next().unwrap_or(Value::Nil);
    Ok(Flush {
        agent,
        meta: reply::optional_text(next()).and_then(|text| Meta::parse(&text)),
        is_urgent: reply::flag(next())?,
        attempts: u32::try_from(reply::number(next())?).unwrap_or(u32::MAX),
        is_released: next() == Value::Nil,
        until,
    })
}
