//! What becomes of dead letters: published again, or removed for good.

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Path, State};
use bus::{MessageId, Redriven};
use common::topics::TopicInfo;
use serde::Deserialize;
use serde_json::{Value, json};
use worker::http::Problem;

use crate::api::Api;
use crate::params;
use crate::problems::{bad_request, bus_problem};

/// Letters that one request decides on at most.
const DECIDED_MAX: usize = 500;
/// Letters that one request looks at in order to find those of a reason.
const SEEN_MAX: usize = 5_000;
/// Letters that are read at once, and decided on at once: any of them may be large.
const STEP: usize = 50;

/// Which letters: `{"ids": […]}`, or `{"all": true}`, perhaps only those of a `reason`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Wish {
    ids: Option<Vec<String>>,
    #[serde(default)]
    all: bool,
    reason: Option<String>,
    start_id: Option<String>,
    end_id: Option<String>,
}

/// Letters to decide on, and how far one has looked.
#[derive(Debug, Default)]
struct Chosen {
    ids: Vec<MessageId>,
    /// Where the next request goes on; nothing when all were looked at.
    next: Option<MessageId>,
    /// The last letter that is meant: what is given up again in the meantime comes after it.
    end: Option<MessageId>,
}

/// `POST /api/dead-letters/{topic}/redrive`: publishes the letters' messages again.
pub(crate) async fn redrive(
    State(api): State<Api>,
    Path(topic): Path<String>,
    body: Bytes,
) -> Result<Json<Value>, Problem> {
    let topic = params::topic(&topic)?;
    let chosen = choose(&api, topic, &body).await?;
    let (mut redriven, mut unknown, mut refused) = (Vec::new(), Vec::new(), Vec::new());
    for ids in chosen.ids.chunks(STEP) {
        let results = api.bus.redrive(topic, ids).await.map_err(bus_problem)?;
        for (id, result) in ids.iter().zip(results) {
            match result {
                Redriven::As(new_id) => {
                    redriven.push(json!({ "id": id.to_string(), "new_id": new_id.to_string() }));
                }
                Redriven::Unknown => unknown.push(id.to_string()),
                Redriven::Refused(why) => {
                    refused.push(json!({ "id": id.to_string(), "why": why }));
                }
            }
        }
    }
    let done = json!({ "redriven": redriven, "unknown": unknown, "refused": refused });
    answer(&api, topic, &chosen, done).await
}

/// `POST /api/dead-letters/{topic}/discard`: removes letters for good.
pub(crate) async fn discard(
    State(api): State<Api>,
    Path(topic): Path<String>,
    body: Bytes,
) -> Result<Json<Value>, Problem> {
    let topic = params::topic(&topic)?;
    let chosen = choose(&api, topic, &body).await?;
    let (mut discarded, mut unknown) = (0_u64, 0_u64);
    for ids in chosen.ids.chunks(STEP) {
        for was_there in api.bus.discard(topic, ids).await.map_err(bus_problem)? {
            let counted = if was_there {
                &mut discarded
            } else {
                &mut unknown
            };
            *counted += 1;
        }
    }
    let done = json!({ "discarded": discarded, "unknown": unknown });
    answer(&api, topic, &chosen, done).await
}

/// What was done, with what remains.
async fn answer(
    api: &Api,
    topic: &TopicInfo,
    chosen: &Chosen,
    mut done: Value,
) -> Result<Json<Value>, Problem> {
    let overview = api.bus.overview(topic).await.map_err(bus_problem)?;
    if let Some(done) = done.as_object_mut() {
        done.insert("topic".to_owned(), json!(topic.name));
        done.insert("remaining".to_owned(), json!(overview.dead_letters));
        let next = chosen.next.map(|id| id.to_string());
        done.insert("nextId".to_owned(), json!(next));
        let end = chosen.end.map(|id| id.to_string());
        done.insert("endId".to_owned(), json!(end));
    }
    Ok(Json(done))
}

async fn choose(api: &Api, topic: &TopicInfo, body: &[u8]) -> Result<Chosen, Problem> {
    let wish: Wish = serde_json::from_slice(body)
        .map_err(|error| bad_request("invalid_body", format!("the body is no choice: {error}")))?;
    match &wish {
        Wish {
            ids: Some(ids),
            all: false,
            reason: None,
            start_id: None,
            end_id: None,
        } => named(ids),
        Wish {
            ids: None,
            all: true,
            ..
        } => found(api, topic, &wish).await,
        _ => Err(bad_request(
            "invalid_choice",
            "say either {\"ids\": […]} or {\"all\": true}, the latter with \"reason\" for those \
             of one reason, and with \"startId\" and \"endId\" to go on",
        )),
    }
}

fn named(ids: &[String]) -> Result<Chosen, Problem> {
    if ids.is_empty() || ids.len() > DECIDED_MAX {
        let detail = format!(
            "there are {} ids; allowed are 1 to {DECIDED_MAX}",
            ids.len()
        );
        return Err(bad_request("wrong_number_of_ids", detail));
    }
    let ids = ids.iter().map(|id| params::message_id("an id", Some(id)));
    Ok(Chosen {
        ids: ids.collect::<Result<_, _>>()?,
        ..Chosen::default()
    })
}

/// The letters of a reason from an id on, up to those that are there now.
async fn found(api: &Api, topic: &TopicInfo, wish: &Wish) -> Result<Chosen, Problem> {
    let mut from = params::message_id("startId", wish.start_id.as_deref())?;
    let Some(end) = end(api, topic, wish).await? else {
        return Ok(Chosen::default());
    };
    let (mut ids, mut seen) = (Vec::new(), 0);
    while from <= end {
        if ids.len() >= DECIDED_MAX || seen >= SEEN_MAX {
            return Ok(Chosen {
                ids,
                next: Some(from),
                end: Some(end),
            });
        }
        let step = STEP.min(DECIDED_MAX - ids.len());
        let letters = api.bus.dead_letters(topic, from, step).await;
        let letters = letters.map_err(bus_problem)?;
        let Some(last) = letters.last() else { break };
        from = last.id.next();
        seen += letters.len();
        let meant = letters.iter().filter(|letter| {
            let fits = wish
                .reason
                .as_ref()
                .is_none_or(|reason| *reason == letter.reason);
            fits && letter.id <= end
        });
        ids.extend(meant.map(|letter| letter.id));
    }
    Ok(Chosen {
        ids,
        next: None,
        end: Some(end),
    })
}

async fn end(api: &Api, topic: &TopicInfo, wish: &Wish) -> Result<Option<MessageId>, Problem> {
    if let Some(end) = &wish.end_id {
        return params::message_id("endId", Some(end)).map(Some);
    }
    let stream = topic.dead_letters();
    let newest = api.bus.range_back(&stream, MessageId::MAX, 1).await;
    let newest = newest.map_err(bus_problem)?;
    Ok(newest.first().map(|letter| letter.id))
}
