//! Adding feedback to batches: the store beside the bare pipeline of the same commands, and beside
//! the way of one item after the other. All get items and make their objects.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::Result;
use common::keys::{FeedbackBatchKey, FeedbackBatchMetaKey, FeedbackBatchesIndexKey};
use common::messages::FeedbackKind;
use common::{AgentId, UnixMillis};
use stores::{
    FeedbackBatches as _, FeedbackDocument, FeedbackItem, ItemOrigin, RedisBatchOptions,
    RedisFeedbackBatches,
};
use testkit::servers::redis_cli;

use crate::measure::{Meter, Sample, Turns};
use crate::redis_server::Redis;

/// As many agents as a call has items.
pub(crate) const MANY_AGENTS: u32 = 1_000;
/// So few that every call has many items of each.
pub(crate) const FEW_AGENTS: u32 = 20;
const CALL: usize = 500;
const TIMEOUT: Duration = Duration::from_secs(5);
const ITEMS: u32 = 500 * 200;
/// Enough for the slow way.
const ITEMS_IN_ROUND_TRIPS: u32 = 500 * 20;
const META: &str = r#"{"createdAt":"2026-11-20T12:00:00.000Z","lastItemAt":"2026-11-20T12:00:00.000Z","itemCount":100}"#;

/// Items per second of a pipeline of LPUSH, SET and SADD for each agent of a call, and of the store.
pub(crate) async fn beside_pipelines(
    redis: &Redis,
    agents: u32,
    repetitions: usize,
) -> Result<Turns> {
    let items = items(agents, ITEMS);
    let bare = async || pipelines(redis, &items).await;
    let ours = async || store(redis, &items, ITEMS).await;
    Turns::take(repetitions, bare, ours).await
}

/// Items per second of four commands for each item, one after the other, and of the store.
pub(crate) async fn beside_round_trips(
    redis: &Redis,
    agents: u32,
    repetitions: usize,
) -> Result<Turns> {
    let items = items(agents, ITEMS_IN_ROUND_TRIPS);
    let bare = async || round_trips(redis, &items).await;
    let ours = async || store(redis, &items, ITEMS_IN_ROUND_TRIPS).await;
    Turns::take(repetitions, bare, ours).await
}

async fn store(redis: &Redis, items: &[FeedbackItem], count: u32) -> Result<Sample> {
    redis.empty()?;
    let options = RedisBatchOptions::default();
    let batches = RedisFeedbackBatches::at(redis.url(), TIMEOUT, options)?;
    let meter = Meter::start(&[std::process::id()], &[redis.pid()?])?;
    for call in items.chunks(CALL) {
        batches.add(call).await?;
    }
    let sample = meter.stop(count)?;
    check(redis)?;
    Ok(sample)
}

/// The keys and the objects of one agent in one call.
#[derive(Debug, Default)]
struct Group {
    batch: String,
    meta: String,
    objects: Vec<String>,
}

async fn pipelines(redis: &Redis, items: &[FeedbackItem]) -> Result<Sample> {
    redis.empty()?;
    let index = FeedbackBatchesIndexKey.to_string();
    let mut connection = redis.connection().await?;
    let meter = Meter::start(&[std::process::id()], &[redis.pid()?])?;
    for call in items.chunks(CALL) {
        let mut pipeline = redis::pipe();
        for (agent, group) in &groups(call) {
            pipeline.cmd("LPUSH").arg(&group.batch).arg(&group.objects);
            pipeline.cmd("SET").arg(&group.meta).arg(META);
            pipeline.cmd("SADD").arg(&index).arg(agent.as_str());
        }
        pipeline
            .query_async::<Vec<redis::Value>>(&mut connection)
            .await?;
    }
    let sample = meter.stop(ITEMS)?;
    check(redis)?;
    Ok(sample)
}

fn groups(items: &[FeedbackItem]) -> BTreeMap<&AgentId, Group> {
    let mut groups: BTreeMap<&AgentId, Group> = BTreeMap::new();
    for item in items {
        let agent = &item.document.agent_id;
        let group = groups.entry(agent).or_insert_with(|| group(agent));
        group.objects.push(object(item));
    }
    groups
}

fn group(agent: &AgentId) -> Group {
    let agent_id = agent.to_string();
    Group {
        batch: FeedbackBatchKey {
            agent_id: agent_id.clone(),
        }
        .to_string(),
        meta: FeedbackBatchMetaKey { agent_id }.to_string(),
        objects: Vec::new(),
    }
}

async fn round_trips(redis: &Redis, items: &[FeedbackItem]) -> Result<Sample> {
    redis.empty()?;
    let index = FeedbackBatchesIndexKey.to_string();
    let mut connection = redis.connection().await?;
    let meter = Meter::start(&[std::process::id()], &[redis.pid()?])?;
    for item in items {
        let agent = &item.document.agent_id;
        let (group, object) = (group(agent), object(item));
        let commands = [
            redis::cmd("LPUSH").arg(&group.batch).arg(object).clone(),
            redis::cmd("SET").arg(&group.meta).arg(META).clone(),
            redis::cmd("SADD").arg(&index).arg(agent.as_str()).clone(),
            redis::cmd("LLEN").arg(&group.batch).clone(),
        ];
        for command in commands {
            command.query_async::<redis::Value>(&mut connection).await?;
        }
    }
    let sample = meter.stop(ITEMS_IN_ROUND_TRIPS)?;
    check(redis)?;
    Ok(sample)
}

/// A contender that stored nothing would be fast.
fn check(redis: &Redis) -> Result<()> {
    let index = FeedbackBatchesIndexKey.to_string();
    let agents: u32 = redis_cli(redis.url(), &["SCARD", &index])?.parse()?;
    anyhow::ensure!(
        [FEW_AGENTS, MANY_AGENTS].contains(&agents),
        "{agents} agents"
    );
    Ok(())
}

fn items(agents: u32, count: u32) -> Vec<FeedbackItem> {
    (0..count).map(|number| item(number, agents)).collect()
}

fn item(number: u32, agents: u32) -> FeedbackItem {
    // Scattered, so that a call has some agents twice and others not at all.
    let agent = number.wrapping_mul(2_654_435_761) % agents;
    let agent_id = AgentId::new(format!("agent-{agent}"));
    FeedbackItem {
        document: FeedbackDocument {
            feedback_id: format!("f-{number:08}"),
            agent_id: agent_id.unwrap_or_else(|_| unreachable!("a valid id")),
            kind: FeedbackKind::Reply,
            room_id: format!("room-{}", number % 5_000),
            message_id: format!("message-{number:08}"),
            user_id: format!("user-{}", number % 3_000),
            text: Some("Thanks, that was quick and solved it.".to_owned()),
            rating: Some("5".to_owned()),
            reaction: None,
            created_at: UnixMillis(1_795_176_000_000 + i64::from(number)),
            extra: Vec::new(),
        },
        urgent: false,
        origin: ItemOrigin {
            stream: "in".to_owned(),
            id: format!("1795176000000-{number}"),
            attempts: 1,
        },
    }
}

/// The object of an item as the store writes it, in the order of its fields.
#[derive(serde::Serialize)]
#[serde(rename_all = "camelCase")]
struct Object<'a> {
    feedback_id: &'a str,
    agent_id: &'a str,
    kind: &'static str,
    room_id: &'a str,
    message_id: &'a str,
    user_id: &'a str,
    text: Option<&'a str>,
    rating: Option<&'a str>,
    created_at: String,
    origin: Origin<'a>,
}

#[derive(serde::Serialize)]
struct Origin<'a> {
    stream: &'a str,
    id: &'a str,
    attempts: u32,
}

fn object(item: &FeedbackItem) -> String {
    let document = &item.document;
    let object = Object {
        feedback_id: &document.feedback_id,
        agent_id: document.agent_id.as_str(),
        kind: document.kind.as_str(),
        room_id: &document.room_id,
        message_id: &document.message_id,
        user_id: &document.user_id,
        text: document.text.as_deref(),
        rating: document.rating.as_deref(),
        created_at: document.created_at.to_string(),
        origin: Origin {
            stream: &item.origin.stream,
            id: &item.origin.id,
            attempts: item.origin.attempts,
        },
    };
    serde_json::to_string(&object).unwrap_or_default()
}
