//! `POST /v1/events`: answers after the events are in Redis.

mod body;
mod event;

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{DefaultBodyLimit, FromRequest as _, Request, State};
use axum::http::header::{CONTENT_ENCODING, HeaderMap};
use axum::http::{Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use common::messages::RawEvent;
use common::{Clock, UnixMillis};
use serde::Serialize;
use serde_json::json;
use worker::http::{Problem, bearer_token, same_secret};

use self::event::Refused;
use crate::backlog::Backlog;
use crate::group_commit::Publisher;
use crate::metrics;
use crate::settings::Config;

/// Bytes of a request body at most.
const BODY_BYTES_MAX: usize = 4 * 1024 * 1024;
/// When a sender is asked to come back, in seconds.
const RETRY_AFTER_SECONDS: u32 = 1;

/// The HTTP API.
pub(crate) struct Api {
    publisher: Publisher,
    backlog: Backlog,
    clock: Arc<dyn Clock>,
    keys: Arc<[String]>,
}

/// What becomes of each event of a request, in its order.
#[derive(Debug, Serialize)]
struct Answers {
    results: Vec<Answer>,
}

#[derive(Debug, Serialize)]
struct Answer {
    event_id: Option<String>,
    status: Status,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<String>,
}

/// What becomes of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Status {
    Accepted,
    Duplicate,
    Rejected,
}

impl Api {
    pub(crate) fn new(
        publisher: Publisher,
        backlog: Backlog,
        clock: Arc<dyn Clock>,
        config: &Config,
    ) -> Self {
        let keys = config
            .api_keys
            .iter()
            .map(|key| key.trim().to_owned())
            .collect();
        Self {
            publisher,
            backlog,
            clock,
            keys,
        }
    }

    pub(crate) fn router(self) -> Router {
        Router::new()
            .route("/v1/events", post(accept))
            .route("/v1/limits", get(limits))
            .fallback(unknown_path)
            .method_not_allowed_fallback(wrong_method)
            .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
            .with_state(Arc::new(self))
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
}

async fn accept(State(api): State<Arc<Api>>, request: Request) -> Result<Response, Problem> {
    api.check_key(request.headers())?;
    if api.backlog.is_full() {
        metrics::turned_away();
        let detail = "too many events are unfinished; send the same request again later";
        return Err(Problem::unavailable(
            "backlog_full",
            detail,
            RETRY_AFTER_SECONDS,
        ));
    }
    check_encoding(request.headers())?;
    let traceparent = request.headers().get("traceparent").cloned();
    let traceparent = traceparent.as_ref().and_then(|value| value.to_str().ok());
    let bytes = Bytes::from_request(request, &()).await;
    let bytes = bytes.map_err(|rejection| body_problem(&rejection))?;
    let now = api.clock.now();
    let mut events = Vec::new();
    let mut results = Vec::new();
    for event in read(&bytes, traceparent, now)? {
        match event {
            Ok(event) => {
                results.push(accepted_answer(&event));
                events.push(event);
            }
            Err(refused) => results.push(refused_answer(refused)),
        }
    }
    let body_bytes = bytes.len();
    drop(bytes);
    let are_new = api.publisher.publish(events, body_bytes).await?;
    let accepted = results
        .iter_mut()
        .filter(|answer| answer.status == Status::Accepted);
    for (answer, is_new) in accepted.zip(are_new) {
        if !is_new {
            answer.status = Status::Duplicate;
        }
    }
    count(&results);
    Ok((StatusCode::ACCEPTED, Json(Answers { results })).into_response())
}

fn count(results: &[Answer]) {
    let of = |status| {
        results
            .iter()
            .filter(|answer| answer.status == status)
            .count()
    };
    metrics::answered("accepted", of(Status::Accepted));
    metrics::answered("duplicate", of(Status::Duplicate));
    metrics::answered("rejected", of(Status::Rejected));
}

type Events = Vec<Result<RawEvent, Refused>>;

fn read(bytes: &[u8], traceparent: Option<&str>, now: UnixMillis) -> Result<Events, Problem> {
    let mut context = event::Context {
        received_at: now,
        sent_at: None,
        traceparent,
    };
    if let Some(events) = body::parse_in_order(bytes) {
        let accept = |event| event::accept(event, &context);
        return Ok(events.into_iter().map(accept).collect());
    }
    let body = body::parse(bytes, now)?;
    context.sent_at = body.sent_at;
    Ok(body
        .events
        .iter()
        .map(|text| event::parse(text, &context))
        .collect())
}

fn accepted_answer(event: &RawEvent) -> Answer {
    let client_event_id = event.client_event_id.clone();
    Answer {
        event_id: Some(client_event_id.unwrap_or_else(|| event.event_id.to_string())),
        status: Status::Accepted,
        reason: None,
        message: None,
    }
}

fn refused_answer(refused: Refused) -> Answer {
    Answer {
        event_id: refused.event_id,
        status: Status::Rejected,
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
