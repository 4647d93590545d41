//! Where feedback waits and is kept.

use std::sync::Arc;

use common::AgentId;
use stores::{
    FeedbackBatchSettings, FeedbackBatches, FeedbackDocuments, FeedbackDocumentsSettings,
    MongoSettings, RedisServers, SqlSettings,
};
use worker::{ConfigError, SystemClock};

/// The store of feedback that waits.
#[derive(Debug, clap::Args)]
pub(super) struct Waiting {
    #[command(flatten)]
    redis: RedisServers,
    #[command(flatten)]
    batches: FeedbackBatchSettings,
    #[command(flatten)]
    mongo: MongoSettings,
}

/// The store of feedback documents, if there is no MongoDB.
#[derive(Debug, clap::Args)]
pub(super) struct Kept {
    #[command(flatten)]
    documents: FeedbackDocumentsSettings,
    #[command(flatten)]
    sql: SqlSettings,
}

impl Waiting {
    /// The batches, if they can be seen from here.
    pub(super) fn open(&self) -> anyhow::Result<Arc<dyn FeedbackBatches>> {
        let clock = Arc::new(SystemClock);
        let batches = self.batches.open(&self.redis, &self.mongo, clock);
        let batches = batches.map_err(|error| ConfigError(error.to_string()))?;
        if batches.is_durable() {
            return Ok(batches);
        }
        let text = "FEEDBACK_BATCH_STORE: feedback waits in the memory of feedback-flusher; only its \
             /metrics tell how much";
        Err(ConfigError(text.to_owned()).into())
    }
}

impl Kept {
    /// The documents of these settings and of those of what waits.
    pub(super) fn open(&self, waiting: &Waiting) -> anyhow::Result<Arc<dyn FeedbackDocuments>> {
        let database = self.sql.open()?;
        Ok(self.documents.open(&waiting.mongo, &database))
    }
}

/// An agent's id on the command line.
pub(super) fn parse_agent(text: &str) -> Result<AgentId, String> {
    AgentId::new(text).map_err(|error| format!("the id {error}"))
}
