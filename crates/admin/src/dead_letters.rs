//! Messages that were given up, with their reasons.

pub(crate) mod deciding;

use axum::Json;
use axum::extract::{Path, Query, State};
use bus::{DeadLetter, MessageId};
use common::topics::TopicInfo;
use serde::Deserialize;
use serde_json::{Value, json};
use worker::http::Problem;

use crate::api::Api;
use crate::problems::{bus_problem, not_found};
use crate::{fields, params, streams};

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct LettersQuery {
    topic: Option<String>,
    start_id: Option<String>,
    count: Option<usize>,
}

/// `GET /api/dead-letters?topic=&startId=0&count=10`: the letters of a topic in order; without a
/// topic, how many each has.
pub(crate) async fn list(
    State(api): State<Api>,
    Query(query): Query<LettersQuery>,
) -> Result<Json<Value>, Problem> {
    let Some(topic) = &query.topic else {
        return counts(&api).await;
    };
    let topic = params::topic(topic)?;
    let from = params::message_id("startId", query.start_id.as_deref())?;
    let (letters, next) = page(&api, topic, from, params::count(query.count)).await?;
    Ok(Json(json!({
        "topic": topic.name,
        "letters": letters.iter().map(letter).collect::<Vec<_>>(),
        "nextId": next.map(|id| id.to_string()),
    })))
}

/// Letters of a topic in order, and where the next ones begin.
pub(crate) async fn page(
    api: &Api,
    topic: &TopicInfo,
    from: MessageId,
    count: usize,
) -> Result<(Vec<DeadLetter>, Option<MessageId>), Problem> {
    let page = params::page(&api.bus, &topic.dead_letters(), from, count).await;
    let (letters, next) = page.map_err(bus_problem)?;
    Ok((letters.into_iter().map(DeadLetter::from).collect(), next))
}

async fn counts(api: &Api) -> Result<Json<Value>, Problem> {
    let all = streams::overviews(&api.bus).await.map_err(bus_problem)?;
    let counts = all.iter().map(|overview| {
        json!({
            "topic": overview.name,
            "waiting": overview.dead_letters,
            "redriven": overview.redriven,
            "discarded": overview.discarded,
            "expired": overview.expired,
        })
    });
    Ok(Json(json!({ "topics": counts.collect::<Vec<_>>() })))
}

/// `GET /api/dead-letters/{topic}/{id}`
pub(crate) async fn one(
    State(api): State<Api>,
    Path((topic, id)): Path<(String, String)>,
) -> Result<Json<Value>, Problem> {
    let topic = params::topic(&topic)?;
    let id = params::message_id("the id", Some(&id))?;
    let found = api.bus.dead_letter(topic, id).await.map_err(bus_problem)?;
    let found = found.ok_or_else(|| {
        let detail = format!("{} has no dead letter {id} (any more)", topic.name);
        not_found("unknown_dead_letter", detail)
    })?;
    Ok(Json(letter(&found)))
}

fn letter(letter: &DeadLetter) -> Value {
    let (fields, lossy) = fields::shown(&letter.fields);
    json!({
        "id": letter.id.to_string(),
        "source_id": letter.source_id.map(|id| id.to_string()),
        "group": letter.group,
        "reason": letter.reason,
        "error": letter.error,
        "attempts": letter.attempts,
        "first_failed_at": letter.first_failed_at,
        "failed_at": letter.failed_at,
        "worker": letter.worker,
        "part": letter.part,
        "fields": fields,
        "lossy": lossy,
    })
}
