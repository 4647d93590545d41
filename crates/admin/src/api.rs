//! The routes, and who may use them.

use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{StatusCode, Uri};
use axum::middleware::{self, Next};
use axum::response::Response;
use axum::routing::get;
use bus::{Bus, BusError};
use common::Clock;
use identity::Region;
use stores::{Analytics, Features, Profiles, StoreError, UniqueProfiles};
use worker::http::{Problem, bearer_token, same_secret};

use crate::{people, streams};

/// When a caller is asked to come back, in seconds.
const RETRY_AFTER_SECONDS: u32 = 2;

/// What the routes need.
#[derive(Clone)]
pub(crate) struct Api {
    pub(crate) bus: Bus,
    pub(crate) profiles: Profiles,
    pub(crate) features: Features,
    pub(crate) analytics: Analytics,
    pub(crate) unique: UniqueProfiles,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) token: Option<Arc<str>>,
    pub(crate) default_region: Option<Region>,
}

impl Api {
    pub(crate) fn router(self) -> Router {
        Router::new()
            .route("/api/streams/info", get(streams::info))
            .route("/api/profiles/{id}", get(people::by_id))
            .route("/api/profiles", get(people::by_identifier))
            .route("/api/brands/{id}/analytics", get(people::analytics))
            .fallback(unknown_path)
            .layer(middleware::from_fn_with_state(self.clone(), check_token))
            .with_state(self)
    }
}

async fn check_token(
    State(api): State<Api>,
    request: Request,
    next: Next,
) -> Result<Response, Problem> {
    let given = bearer_token(request.headers()).unwrap_or_default();
    match &api.token {
        Some(token) if !same_secret(given, token) => {
            let detail = "send the header 'Authorization: Bearer <token>' with the admin token";
            Err(Problem::new(
                StatusCode::UNAUTHORIZED,
                "unknown_token",
                detail,
            ))
        }
        Some(_) | None => Ok(next.run(request).await),
    }
}

async fn unknown_path(uri: Uri) -> Problem {
    let detail = format!("there is no {}", uri.path());
    Problem::new(StatusCode::NOT_FOUND, "unknown_path", detail)
}

pub(crate) fn bus_problem(error: BusError) -> Problem {
    tracing::warn!(%error, "the bus did not answer");
    Problem::unavailable(
        "bus_unavailable",
        "the bus does not answer",
        RETRY_AFTER_SECONDS,
    )
}

pub(crate) fn store_problem(error: StoreError) -> Problem {
    tracing::warn!(%error, "the database did not answer");
    Problem::unavailable(
        "store_unavailable",
        "the database does not answer",
        RETRY_AFTER_SECONDS,
    )
}

pub(crate) fn bad_request(code: &'static str, detail: impl Into<String>) -> Problem {
    Problem::new(StatusCode::BAD_REQUEST, code, detail)
}
