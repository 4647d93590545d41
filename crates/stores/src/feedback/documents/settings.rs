//! Which store keeps the feedback.

use std::sync::Arc;

use super::FeedbackDocuments;
use super::mongo::MongoFeedbackDocuments;
use super::sql::SqlFeedbackDocuments;
use crate::mongo::MongoSettings;
use crate::sql::Database;

/// How feedback documents are written.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Feedback documents")]
pub struct FeedbackDocumentsSettings {
    /// Feedback documents that one command to their store writes at most
    #[arg(long, env = "FEEDBACK_DOCUMENTS_PER_COMMAND_MAX", default_value_t = 1_000, value_parser = clap::value_parser!(u16).range(1..=1_000))]
    pub feedback_documents_per_command_max: u16,
}

impl FeedbackDocumentsSettings {
    /// MongoDB if there is one, else the SQL database. Connects when first used.
    pub fn open(&self, mongo: &MongoSettings, database: &Database) -> Arc<dyn FeedbackDocuments> {
        let documents_max = usize::from(self.feedback_documents_per_command_max);
        match mongo.link() {
            Some(link) => Arc::new(MongoFeedbackDocuments::new(link, documents_max)),
            None => Arc::new(SqlFeedbackDocuments::new(database.clone(), documents_max)),
        }
    }
}
