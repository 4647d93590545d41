//! What the streams look like.

pub(crate) mod browsing;

use axum::Json;
use axum::extract::State;
use bus::{Bus, BusError, GroupOverview, TopicOverview};
use common::topics;
use serde_json::{Value, json};
use worker::http::Problem;

use crate::api::Api;
use crate::problems::bus_problem;

/// `GET /api/streams/info`
pub(crate) async fn info(State(api): State<Api>) -> Result<Json<Value>, Problem> {
    let all = overviews(&api.bus).await.map_err(bus_problem)?;
    let streams: Vec<Value> = all.iter().map(stream).collect();
    Ok(Json(json!({ "streams": streams })))
}

/// Every topic.
pub(crate) async fn overviews(bus: &Bus) -> Result<Vec<TopicOverview>, BusError> {
    let mut all = Vec::with_capacity(topics::ALL.len());
    for topic in topics::ALL {
        let mut overview = bus.overview(topic).await?;
        overview.groups.sort_by(|a, b| a.name.cmp(&b.name));
        all.push(overview);
    }
    Ok(all)
}

fn stream(overview: &TopicOverview) -> Value {
    json!({
        "name": overview.name,
        "length": overview.length,
        "published": overview.published,
        "dead_letters": overview.dead_letters,
        "redriven": overview.redriven,
        "discarded": overview.discarded,
        "expired": overview.expired,
        "groups": overview.groups.iter().map(group).collect::<Vec<_>>(),
    })
}

fn group(group: &GroupOverview) -> Value {
    let seconds = |age: Option<std::time::Duration>| age.map(|age| age.as_secs());
    json!({
        "name": group.name,
        "consumers": group.consumers,
        "undelivered": group.undelivered.count,
        "undelivered_exact": group.undelivered.exact,
        "pending": group.pending,
        "retrying": group.retrying,
        "done": group.done,
        "dead": group.dead,
        "vanished": group.vanished,
        "oldest_undelivered_seconds": seconds(group.oldest_undelivered_age),
        "oldest_pending_seconds": seconds(group.oldest_pending_age),
    })
}
