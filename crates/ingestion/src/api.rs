//! `POST /v1/events`: answers after the events are in Redis.

mod body;
mod event;

use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::header::{CONTENT_ENCODING, HeaderMap};
use axum::http::{Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use bus::{Bus, BusError, Once, OnceRule};
use common::keys::EventSeenKey;
use common::messages::RawEvent;
use common::topics::EventsRaw;
use common::{Clock, UnixMillis};
use crash_points::{CrashPoint, reached};
use serde::Serialize;
use serde_json::json;
use worker::http::{Problem, bearer_token, same_secret};

use self::event::Refused;
use crate::backlog::Backlog;
use crate::metrics;
use crate::settings::Config;

/// Bytes of a request body at most.
const BODY_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Who claims an event when it is accepted.
const CLAIMANT: &str = "ingestion";
/// When a sender is asked to come back, in seconds.
const RETRY_AFTER_SECONDS: u32 = 1;

/// The HTTP API.
#[derive(Clone)]
pub(crate) struct Api {
    bus: Bus,
    backlog: Backlog,
    clock: Arc<dyn Clock>,
    keys: Arc<[String]>,
    dedup_window: Duration,
}

#[derive(Debug, Serialize)]
struct Answer {
    event_id: Option<String>,
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<String>,
}

impl Api {
    pub(crate) fn new(bus: Bus, backlog: Backlog, clock: Arc<dyn Clock>, config: &Config) -> Self {
        let keys = config
            .api_keys
            .iter()
            .map(|key| key.trim().to_owned())
            .collect();
        Self {
            bus,
            backlog,
            clock,
            keys,
            dedup_window: config.dedup_window(),
        }
    }

    pub(crate) fn router(self) -> Router {
        Router::new()
            .route("/v1/events", post(accept))
            .route("/v1/limits", get(limits))
            .fallback(unknown_path)
            .method_not_allowed_fallback(wrong_method)
            .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
            .with_state(self)
    }

    fn check_key(&self, headers: &HeaderMap) -> Result<(), Problem> {
        let given = bearer_token(headers).unwrap_or_default();
        if self.keys.is_empty() || self.keys.iter().any(|key| same_secret(given, key)) {
            return Ok(());
        }
        let detail = "send the header 'Authorization: Bearer <key>' with a known key";
        Err(Problem::new(
            StatusCode::UNAUTHORIZED,
            "unknown_key",
            detail,
        ))
    }

    /// Claims and publishes each event in one step; gives for each whether it is new.
    async fn publish(&self, events: &[RawEvent]) -> Result<Vec<bool>, Problem> {
        let claims: Vec<Once> = events
            .iter()
            .map(|event| {
                let (brand_id, event_id) = (event.brand_id.clone(), event.event_id);
                Once {
                    key: EventSeenKey { brand_id, event_id }.to_string(),
                    claimant: CLAIMANT,
                    window: self.dedup_window,
                    rule: OnceRule::Unclaimed,
                }
            })
            .collect();
        reached(CrashPoint::IngestionPublishing);
        let ids = self
            .bus
            .publish_once::<EventsRaw>(events, &claims)
            .await
            .map_err(|error| {
                tracing::warn!(%error, "events were not accepted");
                publish_problem(&error)
            })?;
        reached(CrashPoint::IngestionPublished);
        Ok(ids.iter().map(Option::is_some).collect())
    }
}

async fn accept(
    State(api): State<Api>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, Problem> {
    api.check_key(&headers)?;
    if api.backlog.is_full() {
        metrics::turned_away();
        let detail = "too many events are unfinished; send the same request again later";
        return Err(Problem::unavailable(
            "backlog_full",
            detail,
            RETRY_AFTER_SECONDS,
        ));
    }
    check_encoding(&headers)?;
    let bytes = body.map_err(|rejection| body_problem(&rejection))?;
    let traceparent = headers
        .get("traceparent")
        .and_then(|value| value.to_str().ok());
    let now = api.clock.now();
    let events = read(&bytes, traceparent, now)?;
    let new: Vec<RawEvent> = events
        .iter()
        .filter_map(|event| event.as_ref().ok().cloned())
        .collect();
    let mut accepted = api.publish(&new).await?.into_iter();
    let answers: Vec<Answer> = events
        .into_iter()
        .map(|event| match event {
            Ok(event) => accepted_answer(event, accepted.next().unwrap_or_default()),
            Err(refused) => refused_answer(refused),
        })
        .collect();
    for status in ["accepted", "duplicate", "rejected"] {
        let events = answers
            .iter()
            .filter(|answer| answer.status == status)
            .count();
        metrics::answered(status, events);
    }
    Ok((StatusCode::ACCEPTED, Json(json!({ "results": answers }))).into_response())
}

type Events = Vec<Result<RawEvent, Refused>>;

fn read(bytes: &[u8], traceparent: Option<&str>, now: UnixMillis) -> Result<Events, Problem> {
    let body = body::parse(bytes, now)?;
    let context = event::Context {
        received_at: now,
        sent_at: body.sent_at,
        traceparent,
    };
    Ok(body
        .events
        .iter()
        .map(|text| event::parse(text, &context))
        .collect())
}

fn accepted_answer(event: RawEvent, is_new: bool) -> Answer {
    let event_id = event
        .client_event_id
        .unwrap_or_else(|| event.event_id.to_string());
    let status = if is_new { "accepted" } else { "duplicate" };
    Answer {
        event_id: Some(event_id),
        status,
        reason: None,
        message: None,
    }
}

fn refused_answer(refused: Refused) -> Answer {
    Answer {
        event_id: refused.event_id,
        status: "rejected",
        reason: Some(refused.rejection.reason),
        message: Some(refused.rejection.message),
    }
}

fn check_encoding(headers: &HeaderMap) -> Result<(), Problem> {
    match headers.get(CONTENT_ENCODING) {
        None => Ok(()),
        Some(encoding) if encoding.as_bytes().eq_ignore_ascii_case(b"identity") => Ok(()),
        Some(_) => {
            let status = StatusCode::UNSUPPORTED_MEDIA_TYPE;
            Err(Problem::new(
                status,
                "unsupported_encoding",
                "send the body uncompressed",
            ))
        }
    }
}

fn body_problem(rejection: &BytesRejection) -> Problem {
    if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE {
        let detail = format!("a body may have {BODY_BYTES_MAX} bytes; split the batch");
        return Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "body_too_large", detail);
    }
    Problem::new(
        StatusCode::BAD_REQUEST,
        "unreadable_body",
        rejection.body_text(),
    )
}

fn publish_problem(error: &BusError) -> Problem {
    match error {
        BusError::Unavailable(_) => {
            let detail = "the event store does not answer; send the same request again";
            Problem::unavailable("store_unavailable", detail, RETRY_AFTER_SECONDS)
        }
        BusError::GroupGone(_) | BusError::Refused(_) | BusError::Unsafe(_) => {
            let detail = "the event store refused the events; send the same request again later";
            Problem::unavailable("store_refused", detail, RETRY_AFTER_SECONDS)
        }
    }
}

async fn limits() -> impl IntoResponse {
    Json(json!({
        "body_bytes_max": BODY_BYTES_MAX,
        "events_max": common::limits::EVENTS_MAX,
        "event_bytes_max": common::limits::EVENT_BYTES_MAX,
        "nesting_max": crate::rules::json_shape::DEPTH_MAX,
        "id_chars_max": common::ids::ID_CHARS_MAX,
    }))
}

async fn unknown_path(uri: Uri) -> Problem {
    let detail = format!("there is no {}; events go to POST /v1/events", uri.path());
    Problem::new(StatusCode::NOT_FOUND, "unknown_path", detail)
}

async fn wrong_method(method: Method, uri: Uri) -> Problem {
    let detail = format!(
        "{} does not take {method}; events go to POST /v1/events",
        uri.path()
    );
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, "wrong_method", detail)
}
