//! The answers when something does not work.

use axum::http::StatusCode;
use bus::BusError;
use stores::StoreError;
use worker::http::Problem;

/// When a caller is asked to come back, in seconds.
const RETRY_AFTER_SECONDS: u32 = 2;

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
