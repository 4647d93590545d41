//! The routes.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{DefaultBodyLimit, Request};
use axum::http::{Method, StatusCode, Uri};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use bus::Bus;
use common::Clock;
use identity::Region;
use stores::{Analytics, Features, Profiles, UniqueProfiles};
use worker::http::Problem;

use crate::dead_letters::{self, deciding};
use crate::feedback::{self, Feedback};
use crate::streams::{self, browsing};
use crate::{audit, guard, health, page, people, problems};

/// How long an answer may take.
const ANSWER_TIME_MAX: Duration = Duration::from_secs(20);
/// Bytes of a request body at most.
const BODY_BYTES_MAX: usize = 64 * 1024;
/// When a caller is asked to come back, in seconds.
const RETRY_AFTER_SECONDS: u32 = 5;

/// What the routes need.
#[derive(Clone)]
pub(crate) struct Api {
    pub(crate) bus: Bus,
    pub(crate) profiles: Profiles,
    pub(crate) features: Features,
    pub(crate) analytics: Analytics,
    pub(crate) unique: UniqueProfiles,
    pub(crate) feedback: Feedback,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) token: Option<Arc<str>>,
    pub(crate) default_region: Option<Region>,
}

impl Api {
    pub(crate) fn router(self) -> Router {
        let token = self.token.clone();
        Router::new()
            .route("/", get(page::overview))
            .route("/dead-letters/{topic}", get(page::dead_letters))
            .route(page::STYLE_PATH, get(page::style))
            .route("/api/streams/info", get(streams::info))
            .route("/api/streams/{name}", get(browsing::messages))
            .route("/api/streams/{name}/pending", get(browsing::pending))
            .route("/api/dead-letters", get(dead_letters::list))
            .route("/api/dead-letters/{topic}/{id}", get(dead_letters::one))
            .route("/api/dead-letters/{topic}/redrive", post(deciding::redrive))
            .route("/api/dead-letters/{topic}/discard", post(deciding::discard))
            .route("/api/admin/system/redis-health", get(health::redis))
            .route("/api/audit", get(audit::audit))
            .route("/api/profiles/{id}", get(people::by_id))
            .route("/api/profiles", get(people::by_identifier))
            .route("/api/brands/{id}/analytics", get(people::analytics))
            .route("/api/feedback/stats", get(feedback::stats))
            .route("/api/feedback/agents/{id}", get(feedback::of_agent))
            .route("/api/feedback/flush", post(feedback::flush))
            .fallback(unknown_path)
            .method_not_allowed_fallback(wrong_method)
            .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
            .layer(middleware::from_fn(guard::refuse_other_sites))
            .layer(middleware::from_fn_with_state(
                token.clone(),
                guard::check_token,
            ))
            .layer(middleware::from_fn_with_state(token, guard::check_host))
            .layer(middleware::from_fn(bound_time))
            .layer(middleware::map_response(problems::uniform))
            .layer(middleware::map_response(guard::add_headers))
            .with_state(self)
    }
}

async fn bound_time(request: Request, next: Next) -> Response {
    let answer = tokio::time::timeout(ANSWER_TIME_MAX, next.run(request)).await;
    answer.unwrap_or_else(|_| {
        let detail = "the answer took too long; ask for less or later";
        Problem::unavailable("timed_out", detail, RETRY_AFTER_SECONDS).into_response()
    })
}

async fn unknown_path(uri: Uri) -> Problem {
    let detail = format!("there is no {}", uri.path());
    Problem::new(StatusCode::NOT_FOUND, "unknown_path", detail)
}

async fn wrong_method(method: Method, uri: Uri) -> Problem {
    let detail = format!("{} does not take {method}", uri.path());
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, "wrong_method", detail)
}
