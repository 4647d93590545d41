//! The ops address: is the process alive, is it ready, what does it count.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use axum::routing::get;
use axum::{Json, Router};
use metrics_exporter_prometheus::PrometheusHandle;
use serde_json::json;

use crate::health::Health;

#[derive(Clone)]
struct Ops {
    name: &'static str,
    health: Health,
    metrics: PrometheusHandle,
}

/// `/live`, `/ready` and `/metrics`.
pub(crate) fn router(name: &'static str, health: Health, metrics: PrometheusHandle) -> Router {
    Router::new()
        .route("/live", get(live))
        .route("/ready", get(ready))
        .route("/metrics", get(show_metrics))
        .with_state(Ops {
            name,
            health,
            metrics,
        })
}

async fn live(State(ops): State<Ops>) -> impl IntoResponse {
    Json(json!({ "worker": ops.name, "status": "live" }))
}

async fn ready(State(ops): State<Ops>) -> impl IntoResponse {
    let waiting_for = ops.health.reasons();
    if waiting_for.is_empty() {
        return (
            StatusCode::OK,
            Json(json!({ "worker": ops.name, "status": "ready" })),
        );
    }
    let body = json!({ "worker": ops.name, "status": "waiting", "waiting_for": waiting_for });
    (StatusCode::SERVICE_UNAVAILABLE, Json(body))
}

async fn show_metrics(State(ops): State<Ops>) -> impl IntoResponse {
    ops.metrics.run_upkeep();
    (
        [("content-type", "text/plain; version=0.0.4")],
        ops.metrics.render(),
    )
}
