//! Feedback on agents: what waits, what is kept, and flushing at once.

use std::sync::Arc;

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use common::{AgentId, Clock};
use serde::Deserialize;
use serde_json::{Value, json};
use stores::{Database, FeedbackBatches, FeedbackDocuments, StoreError};
use worker::ConfigError;
use worker::http::Problem;

use crate::api::Api;
use crate::problems::{bad_request, store_problem};
use crate::settings::Config;

/// Batches or documents that are shown when nobody says how many.
const COUNT_DEFAULT: u32 = 100;
/// Batches or documents in an answer at most.
const COUNT_MAX: u32 = 1_000;

/// Where feedback is.
#[derive(Debug, Clone)]
pub(crate) struct Feedback {
    pub(crate) batches: Arc<dyn FeedbackBatches>,
    pub(crate) documents: Arc<dyn FeedbackDocuments>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct HowMany {
    count: Option<u32>,
}

/// `{"agentId": …}`, or nothing for all.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Wish {
    agent_id: Option<String>,
}

impl Feedback {
    /// The stores of the settings. Connects when first used.
    pub(crate) fn open(
        config: &Config,
        database: &Database,
        clock: &Arc<dyn Clock>,
    ) -> Result<Self, ConfigError> {
        let (redis, mongo) = (&config.bus.redis, &config.mongo);
        let batches = config.batches.open(redis, mongo, Arc::clone(clock));
        Ok(Self {
            batches: batches.map_err(|error| ConfigError(error.to_string()))?,
            documents: config.documents.open(mongo, database),
        })
    }

    /// The batches, if they can be seen from here.
    fn batches(&self) -> Result<&dyn FeedbackBatches, Problem> {
        if self.batches.is_durable() {
            return Ok(self.batches.as_ref());
        }
        let detail = "feedback waits in the memory of feedback-flusher \
             (FEEDBACK_BATCH_STORE=memory): only its /metrics tell how much";
        Err(Problem::new(
            StatusCode::CONFLICT,
            "batches_are_in_memory",
            detail,
        ))
    }
}

/// `GET /api/feedback/stats?count=`: the batches that wait, oldest first.
pub(crate) async fn stats(
    State(api): State<Api>,
    Query(query): Query<HowMany>,
) -> Result<Json<Value>, Problem> {
    let batches = api.feedback.batches()?;
    let count = usize::try_from(query.count()).unwrap_or(usize::MAX);
    let overview = batches.overview(count).await.map_err(store_problem)?;
    Ok(Json(json!({
        "store": batches.name(),
        "totalBatches": overview.total_batches,
        "totalItems": overview.total_items,
        "batches": overview.batches,
    })))
}

/// `GET /api/feedback/agents/{agentId}?count=`: what waits, and the newest documents.
pub(crate) async fn of_agent(
    State(api): State<Api>,
    Path(agent_id): Path<String>,
    Query(query): Query<HowMany>,
) -> Result<Json<Value>, Problem> {
    let agent = agent(agent_id)?;
    let Feedback { batches, documents } = &api.feedback;
    // Null where they cannot be seen from here.
    let waiting = if batches.is_durable() {
        Some(batches.of_agent(&agent).await.map_err(store_problem)?)
    } else {
        None
    };
    let newest = async || -> Result<_, StoreError> {
        let newest = documents.of_agent(&agent, query.count()).await?;
        Ok((newest, documents.count(Some(&agent)).await?))
    };
    let (newest, count) = newest().await.map_err(store_problem)?;
    Ok(Json(json!({
        "agentId": agent,
        "batches": waiting,
        "documentCount": count,
        "documents": newest,
    })))
}

/// `POST /api/feedback/flush`: makes a batch, or all, due at once.
pub(crate) async fn flush(State(api): State<Api>, body: Bytes) -> Result<Json<Value>, Problem> {
    let wish = if body.is_empty() {
        Wish::default()
    } else {
        serde_json::from_slice(&body)
            .map_err(|error| bad_request("invalid_body", error.to_string()))?
    };
    let agent = wish.agent_id.map(agent).transpose()?;
    let batches = api.feedback.batches()?;
    let requested = batches.request_flush(agent.as_ref()).await;
    let requested = requested.map_err(store_problem)?;
    tracing::info!(agent = ?agent.as_ref().map(AgentId::as_str), requested, "flush requested");
    Ok(Json(json!({ "requested": requested })))
}

impl HowMany {
    fn count(&self) -> u32 {
        self.count.unwrap_or(COUNT_DEFAULT).clamp(1, COUNT_MAX)
    }
}

fn agent(text: String) -> Result<AgentId, Problem> {
    AgentId::new(text).map_err(|error| bad_request("invalid_agent_id", format!("agentId {error}")))
}
