//! The least that a front door can do: an axum handler that answers after an acknowledged XADD. It
//! runs as a process of its own: the bench starts itself with [`OPTION`].

use std::net::SocketAddr;

use anyhow::Result;
use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::{get, post};
use common::topics::{EventsRaw, Topic as _};
use redis::aio::MultiplexedConnection;
use serde::Deserialize;
use serde_json::value::RawValue;

/// The option, before the address and the URL of Redis.
pub(crate) const OPTION: &str = "--bare-http";

pub(crate) async fn serve(address: SocketAddr, redis: &str) -> Result<()> {
    let connection = redis::Client::open(redis)?
        .get_multiplexed_async_connection()
        .await?;
    let router = Router::new()
        .route("/ready", get(async || "ready"))
        .route("/single", post(single))
        .route("/batch", post(batch))
        .with_state(connection);
    let listener = tokio::net::TcpListener::bind(address).await?;
    Ok(axum::serve(listener, router).await?)
}

/// An event as it is posted, nothing checked but its form.
#[derive(Deserialize)]
struct Event<'a> {
    #[serde(rename = "event_id")]
    id: &'a str,
    brand_id: &'a str,
    #[serde(rename = "event_type")]
    kind: &'a str,
    #[serde(borrow)]
    payload: &'a RawValue,
    timestamp: &'a str,
}

impl Event<'_> {
    /// The same entry as Millrace writes.
    fn append(&self, pipeline: &mut redis::Pipeline) {
        pipeline.cmd("XADD").arg(EventsRaw::INFO.name).arg("*");
        pipeline.arg("event_id").arg(self.id);
        pipeline.arg("brand_id").arg(self.brand_id);
        pipeline.arg("event_type").arg(self.kind);
        pipeline.arg("payload").arg(self.payload.get());
        pipeline.arg("timestamp").arg(self.timestamp);
    }
}

async fn single(
    State(connection): State<MultiplexedConnection>,
    body: Bytes,
) -> Result<(StatusCode, String), StatusCode> {
    let event = serde_json::from_slice(&body).map_err(|_| StatusCode::BAD_REQUEST)?;
    append(connection, &[event]).await
}

async fn batch(
    State(connection): State<MultiplexedConnection>,
    body: Bytes,
) -> Result<(StatusCode, String), StatusCode> {
    let events: Vec<Event<'_>> =
        serde_json::from_slice(&body).map_err(|_| StatusCode::BAD_REQUEST)?;
    append(connection, &events).await
}

async fn append(
    mut connection: MultiplexedConnection,
    events: &[Event<'_>],
) -> Result<(StatusCode, String), StatusCode> {
    let mut pipeline = redis::pipe();
    for event in events {
        event.append(&mut pipeline);
    }
    let ids: Result<Vec<String>, _> = pipeline.query_async(&mut connection).await;
    let ids = ids.map_err(|_| StatusCode::BAD_GATEWAY)?;
    Ok((StatusCode::ACCEPTED, ids.join(",")))
}
