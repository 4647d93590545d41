//! Taking a batch, and what becomes of it.

use std::time::Duration;

use common::keys::{
    FeedbackBatchesIndexKey, FeedbackFlushesKey, FeedbackRequestedKey, FeedbackUrgentKey,
};
use common::{AgentId, UnixMillis};
use crash_points::{CrashPoint, reached};
use redis_link::{Link, Script, Value};

use super::meta::Meta;
use super::scripts::{FINISH, RELEASE, RENEW, TAKE};
use super::{keys, reply};
use crate::error::StoreError;
use crate::feedback::batches::{FlushLease, TakenBatch};
use crate::feedback::elements;

/// The longest lease or wait: a year.
const MILLIS_MAX: u64 = 365 * 86_400_000;

pub(super) async fn take(
    link: &Link,
    agent: &AgentId,
    lease: &FlushLease,
) -> Result<Option<TakenBatch>, StoreError> {
    let mut command = TAKE.command(8);
    command
        .arg(keys::batch(agent))
        .arg(keys::meta(agent))
        .arg(keys::flush(agent))
        .arg(keys::flush_state(agent))
        .arg(FeedbackBatchesIndexKey.to_string())
        .arg(FeedbackUrgentKey.to_string())
        .arg(FeedbackRequestedKey.to_string())
        .arg(FeedbackFlushesKey.to_string())
        .arg(agent.as_str())
        .arg(&lease.token)
        .arg(millis(lease.length))
        .arg(lease.items_max);
    let answer = link.run(&TAKE, &command).await?;
    if answer == Value::Nil {
        return Ok(None);
    }
    reached(CrashPoint::StoresFeedbackTaken);
    let [attempts, now, meta, newest_first] = <[Value; 4]>::try_from(reply::array(answer)?)
        .map_err(|answer| reply::wrong("a batch", &Value::Array(answer)))?;
    let now = UnixMillis(reply::signed(now)?);
    let meta = reply::optional_text(meta).and_then(|text| Meta::parse(&text));
    let newest_first = reply::array(newest_first)?.into_iter().map(reply::bytes);
    let newest_first = newest_first.collect::<Result<Vec<_>, _>>()?;
    let decoded = elements::decode(newest_first.into_iter().rev());
    Ok(Some(TakenBatch {
        agent_id: agent.clone(),
        token: lease.token.clone(),
        items: decoded.items,
        unreadable: decoded.unreadable,
        attempts: u32::try_from(reply::number(attempts)?).unwrap_or(u32::MAX),
        age: meta.map_or(Duration::ZERO, |meta| meta.age(now)),
    }))
}

pub(super) async fn renew(
    link: &Link,
    batch: &TakenBatch,
    length: Duration,
) -> Result<bool, StoreError> {
    settle(link, &RENEW, batch, length).await
}

pub(super) async fn release(
    link: &Link,
    batch: &TakenBatch,
    wait: Duration,
) -> Result<(), StoreError> {
    settle(link, &RELEASE, batch, wait).await.map(drop)
}

async fn settle(
    link: &Link,
    script: &Script,
    batch: &TakenBatch,
    time: Duration,
) -> Result<bool, StoreError> {
    let mut command = script.command(2);
    command
        .arg(keys::flush_state(&batch.agent_id))
        .arg(FeedbackFlushesKey.to_string())
        .arg(batch.agent_id.as_str())
        .arg(&batch.token)
        .arg(millis(time));
    reply::flag(link.run(script, &command).await?)
}

pub(super) async fn finish(link: &Link, batch: &TakenBatch) -> Result<bool, StoreError> {
    let mut command = FINISH.command(3);
    command
        .arg(keys::flush(&batch.agent_id))
        .arg(keys::flush_state(&batch.agent_id))
        .arg(FeedbackFlushesKey.to_string())
        .arg(batch.agent_id.as_str())
        .arg(&batch.token);
    reached(CrashPoint::StoresFeedbackFinishing);
    reply::flag(link.run(&FINISH, &command).await?)
}

fn millis(duration: Duration) -> u64 {
    let millis = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    millis.min(MILLIS_MAX)
}
