//! The routes, and who may use them.

use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{StatusCode, Uri};
use axum::middleware::{self, Next};
use axum::response::Response;
use axum::routing::get;
use bus::Bus;
use common::Clock;
use identity::Region;
use stores::{Analytics, Features, Profiles, UniqueProfiles};
use worker::http::{Problem, bearer_token, same_secret};

use crate::{people, streams};

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
