//! The messages of a stream, and those that a group has not settled.

use axum::Json;
use axum::extract::{Path, Query, State};
use bus::{PendingMessage, StoredMessage};
use common::topics::TopicInfo;
use serde::Deserialize;
use serde_json::{Value, json};
use worker::http::Problem;

use crate::api::Api;
use crate::problems::{bad_request, bus_problem, not_found};
use crate::{fields, params};

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct MessagesQuery {
    start_id: Option<String>,
    count: Option<usize>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct PendingQuery {
    group: Option<String>,
    after: Option<String>,
    count: Option<usize>,
}

/// `GET /api/streams/{name}?startId=0&count=10`: messages in order, of a topic or of its dead
/// letters. `nextId` is where the next page starts, or null.
pub(crate) async fn messages(
    State(api): State<Api>,
    Path(name): Path<String>,
    Query(query): Query<MessagesQuery>,
) -> Result<Json<Value>, Problem> {
    let name = params::stream(&name)?;
    let from = params::message_id("startId", query.start_id.as_deref())?;
    let page = params::page(&api.bus, name, from, params::count(query.count)).await;
    let (messages, next) = page.map_err(bus_problem)?;
    Ok(Json(json!({
        "name": name,
        "messages": messages.iter().map(message).collect::<Vec<_>>(),
        "nextId": next.map(|id| id.to_string()),
    })))
}

fn message(message: &StoredMessage) -> Value {
    let (fields, lossy) = fields::shown(&message.fields);
    json!({ "id": message.id.to_string(), "fields": fields, "lossy": lossy })
}

/// `GET /api/streams/{name}/pending?group=&after=0&count=10`: what a group was given and has not
/// settled. The group may be left out when there is one. `nextAfter` continues, or is null.
pub(crate) async fn pending(
    State(api): State<Api>,
    Path(name): Path<String>,
    Query(query): Query<PendingQuery>,
) -> Result<Json<Value>, Problem> {
    let topic = params::topic(&name)?;
    let group = group(&api, topic, query.group).await?;
    let after = params::message_id("after", query.after.as_deref())?;
    let count = params::count(query.count);
    let pending = api.bus.pending(topic, &group, after, count + 1).await;
    let mut pending = pending.map_err(bus_problem)?;
    let more = pending.len() > count;
    pending.truncate(count);
    let next = pending.last().filter(|_| more);
    Ok(Json(json!({
        "name": topic.name,
        "group": group,
        "pending": pending.iter().map(pending_message).collect::<Vec<_>>(),
        "nextAfter": next.map(|last| last.id.to_string()),
    })))
}

/// The group that is asked for, which must exist or be declared.
async fn group(api: &Api, topic: &TopicInfo, asked: Option<String>) -> Result<String, Problem> {
    let Some(asked) = asked else {
        let only = <[&str; 1]>::try_from(topic.groups).ok();
        return only.map(|[group]| group.to_owned()).ok_or_else(|| {
            let count = topic.groups.len();
            bad_request(
                "no_group",
                format!("say which group: {} has {count}", topic.name),
            )
        });
    };
    if topic.groups.contains(&asked.as_str()) {
        return Ok(asked);
    }
    let overview = api.bus.overview(topic).await.map_err(bus_problem)?;
    if overview.groups.iter().any(|group| group.name == asked) {
        return Ok(asked);
    }
    let detail = format!("{} has no group {asked}", topic.name);
    Err(not_found("unknown_group", detail))
}

fn pending_message(message: &PendingMessage) -> Value {
    json!({
        "id": message.id.to_string(),
        "consumer": message.consumer,
        "retrying": message.consumer.is_none(),
        "idle_ms": u64::try_from(message.idle.as_millis()).unwrap_or(u64::MAX),
        "deliveries": message.deliveries,
        "first_failed_at": message.first_failed_at,
        "last_failure": message.last_failure,
    })
}
