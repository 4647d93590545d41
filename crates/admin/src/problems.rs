//! The answers when something does not work.

use axum::body::to_bytes;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse as _, Response};
use bus::BusError;
use stores::StoreError;
use worker::http::Problem;

/// When a caller is asked to come back, in seconds.
const RETRY_AFTER_SECONDS: u32 = 2;
/// Bytes of a refusal that are passed on.
const DETAIL_BYTES_MAX: usize = 4 * 1024;

pub(crate) fn bus_problem(error: BusError) -> Problem {
    if error.is_unavailable() {
        tracing::warn!(%error, "the bus did not answer");
        let detail = "the bus does not answer";
        return Problem::unavailable("bus_unavailable", detail, RETRY_AFTER_SECONDS);
    }
    tracing::error!(%error, "the bus refused a command");
    let status = StatusCode::INTERNAL_SERVER_ERROR;
    let detail = "the bus refused the command; the log of admin says why";
    Problem::new(status, "bus_refused", detail)
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

pub(crate) fn not_found(code: &'static str, detail: impl Into<String>) -> Problem {
    Problem::new(StatusCode::NOT_FOUND, code, detail)
}

/// Makes a problem of what the framework refuses in plain text: a path, a query or a body that
/// cannot be read.
pub(crate) async fn uniform(response: Response) -> Response {
    let status = response.status();
    let refused = status.is_client_error() || status.is_server_error();
    let kind = response.headers().get(CONTENT_TYPE);
    if !refused || kind.is_some_and(|kind| kind == "application/problem+json") {
        return response;
    }
    let body = to_bytes(response.into_body(), DETAIL_BYTES_MAX).await;
    let detail = String::from_utf8_lossy(&body.unwrap_or_default()).into_owned();
    let code = match status {
        StatusCode::PAYLOAD_TOO_LARGE => "body_too_large",
        _ => "invalid_request",
    };
    Problem::new(status, code, detail).into_response()
}
