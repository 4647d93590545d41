//! A service that takes events, and misbehaves as a test wants it.

use std::collections::HashSet;
use std::path::Path;
use std::process::Output;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};
use axum::routing::post;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::task::JoinSet;

use crate::millrace;

/// How the service behaves and what it saw.
#[derive(Debug, Default)]
pub(crate) struct Service {
    /// So many requests are answered 503 first.
    pub(crate) unavailable: u32,
    /// After so many events everything is answered 401.
    pub(crate) events_before_refusal: Option<usize>,
    /// After so many requests none is answered.
    pub(crate) requests_before_silence: Option<usize>,
    pub(crate) ids: HashSet<String>,
    pub(crate) bodies: Vec<String>,
    pub(crate) authorization: Option<String>,
}

/// A service on a port of its own, until it is dropped.
#[derive(Debug)]
pub(crate) struct Running {
    pub(crate) url: String,
    service: Arc<Mutex<Service>>,
    /// Tells of requests that are not answered.
    pub(crate) silence: Receiver<()>,
    _server: JoinSet<()>,
}

impl Running {
    pub(crate) async fn start(service: Service) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let service = Arc::new(Mutex::new(service));
        let (silenced, silence) = channel(1);
        let router = Router::new()
            .route("/v1/events", post(events))
            .with_state((Arc::clone(&service), silenced));
        let mut server = JoinSet::new();
        server.spawn(async move { axum::serve(listener, router).await.expect("served") });
        Self {
            url,
            service,
            silence,
            _server: server,
        }
    }

    /// Runs `millrace send` against it.
    pub(crate) async fn send(&self, arguments: &[&str], input: &Path) -> Output {
        let mut command = millrace(&self.url);
        command.args(arguments).arg(input);
        command.output().await.expect("millrace runs")
    }

    /// Looks at what it saw, or changes how it behaves.
    pub(crate) fn seen<R>(&self, look: impl FnOnce(&mut Service) -> R) -> R {
        look(&mut self.service.lock().expect("not poisoned"))
    }
}

/// The service, and who is told of requests that are not answered.
type Shared = (Arc<Mutex<Service>>, Sender<()>);

/// Accepts an event once; rejects those of type `bad`; refuses a whole request with `poison` in it.
async fn events(
    State((service, silenced)): State<Shared>,
    headers: HeaderMap,
    body: String,
) -> Response {
    if let Some(answer) = answer(&service, &headers, &body) {
        return answer;
    }
    silenced.send(()).await.expect("the test listens");
    std::future::pending().await
}

fn answer(service: &Mutex<Service>, headers: &HeaderMap, body: &str) -> Option<Response> {
    let mut service = service.lock().expect("not poisoned");
    let authorization = headers
        .get("authorization")
        .map(|value| value.to_str().expect("text"));
    service.authorization = authorization.map(str::to_owned);
    if service.unavailable > 0 {
        service.unavailable -= 1;
        return Some((StatusCode::SERVICE_UNAVAILABLE, [("retry-after", "0")], "").into_response());
    }
    if service
        .events_before_refusal
        .is_some_and(|events| service.ids.len() >= events)
    {
        return Some(problem(StatusCode::UNAUTHORIZED, "unauthorized"));
    }
    if body.contains("poison") {
        return Some(problem(StatusCode::BAD_REQUEST, "invalid_request"));
    }
    if service.requests_before_silence == Some(service.bodies.len()) {
        return None;
    }
    service.bodies.push(body.to_owned());
    let batch: Value = serde_json::from_str(body).expect("JSON");
    let results: Vec<Value> = batch["batch"].as_array()?.iter().map(|event| {
        let id = event["event_id"].to_string();
        if event["event_type"] == "bad" {
            return json!({"event_id": id, "status": "rejected", "reason": "bad_type", "message": "no"});
        }
        let is_new = service.ids.insert(id.clone());
        json!({"event_id": id, "status": if is_new { "accepted" } else { "duplicate" }})
    }).collect();
    Some(
        (
            StatusCode::ACCEPTED,
            axum::Json(json!({ "results": results })),
        )
            .into_response(),
    )
}

fn problem(status: StatusCode, code: &str) -> Response {
    (
        status,
        axum::Json(json!({"code": code, "detail": "as the test wants it"})),
    )
        .into_response()
}
