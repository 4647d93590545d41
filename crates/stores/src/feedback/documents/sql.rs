//! Feedback documents in the SQL database.

use async_trait::async_trait;
use common::fields::FieldValue as _;
use common::messages::FeedbackKind;
use common::{AgentId, UnixMillis};
use sqlx::Row as _;
use sqlx::any::AnyRow;

use super::parts::{self, PartLimits, PartWriter, Pending};
use super::{DOCUMENT_BYTES_MAX, FeedbackDocument, FeedbackDocuments, Upserted};
use crate::error::StoreError;
use crate::sql::{Column, Database, Rows, fetch_with};

const TABLE: &str = "feedback_documents";
const COLUMNS: &str = "feedback_id, agent_id, kind, room_id, message_id, user_id, text, rating, \
     reaction, created_at, extra";
/// What a statement is given at most, besides one large document.
const PART_BYTES_MAX: usize = DOCUMENT_BYTES_MAX;

/// Feedback documents in SQLite or PostgreSQL, one statement for a part of them.
#[derive(Debug, Clone)]
pub(super) struct SqlFeedbackDocuments {
    database: Database,
    limits: PartLimits,
}

impl SqlFeedbackDocuments {
    /// The documents in a database, written by statements of at most so many.
    pub(super) fn new(database: Database, documents_max: usize) -> Self {
        let limits = PartLimits {
            documents_max,
            bytes_max: PART_BYTES_MAX,
        };
        Self { database, limits }
    }
}

#[async_trait]
impl FeedbackDocuments for SqlFeedbackDocuments {
    async fn prepare(&self) -> Result<(), StoreError> {
        self.database.ready().await
    }

    async fn upsert(&self, documents: &[FeedbackDocument]) -> Result<Vec<Upserted>, StoreError> {
        parts::upsert(self, documents, self.limits).await
    }

    async fn of_agent(
        &self,
        agent: &AgentId,
        count: u32,
    ) -> Result<Vec<FeedbackDocument>, StoreError> {
        let statement = format!(
            "SELECT {COLUMNS} FROM {TABLE} WHERE agent_id = $1 \
             ORDER BY created_at DESC, feedback_id LIMIT $2"
        );
        let rows = sqlx::query(sqlx::AssertSqlSafe(statement))
            .bind(agent.as_str())
            .bind(i64::from(count))
            .fetch_all(self.database.pool())
            .await
            .map_err(|error| StoreError::of("reading feedback documents", error))?;
        rows.iter().map(document).collect()
    }

    async fn count(&self, agent: Option<&AgentId>) -> Result<u64, StoreError> {
        let query = match agent {
            Some(agent) => {
                sqlx::query_scalar("SELECT COUNT(*) FROM feedback_documents WHERE agent_id = $1")
                    .bind(agent.as_str())
            }
            None => sqlx::query_scalar("SELECT COUNT(*) FROM feedback_documents"),
        };
        let counted: Result<i64, sqlx::Error> = query.fetch_one(self.database.pool()).await;
        let counted =
            counted.map_err(|error| StoreError::of("counting feedback documents", error))?;
        Ok(u64::try_from(counted).unwrap_or(0))
    }
}

impl PartWriter for SqlFeedbackDocuments {
    /// The fields that the sender added.
    type Encoded = String;

    fn encode(&self, document: &FeedbackDocument) -> Result<(String, usize), String> {
        let size = texts(document).map(str::len).sum();
        if size > DOCUMENT_BYTES_MAX {
            return Err(super::too_large(size));
        }
        // PostgreSQL has no NUL in texts, and what SQLite keeps should be what it would keep.
        if texts(document).any(|text| text.contains('\0')) {
            return Err("it contains NUL, which the database cannot keep".to_owned());
        }
        let extra = serde_json::to_string(&document.extra).map_err(|error| error.to_string())?;
        Ok((extra, size))
    }

    async fn write(&self, part: &[Pending<'_, String>]) -> Result<Vec<Upserted>, StoreError> {
        let doing = "writing feedback documents";
        // Writers that lock the same rows do so in the same order.
        let mut ordered: Vec<_> = part.iter().collect();
        ordered.sort_unstable_by_key(|pending| &pending.document.feedback_id);
        let values: Vec<_> = ordered.into_iter().map(values).collect();
        let statement = self.statement();
        let mut connection = self.database.connection().await?;
        let rows = fetch_with(&mut connection, doing, statement, Rows::values(&values)?).await?;
        let written = rows
            .iter()
            .map(|row| row.try_get(0))
            .collect::<Result<std::collections::HashSet<String>, _>>()
            .map_err(|error| StoreError::of(doing, error))?;
        let outcome = |pending: &Pending<'_, String>| {
            if written.contains(&pending.document.feedback_id) {
                Upserted::Written
            } else {
                Upserted::Unchanged
            }
        };
        Ok(part.iter().map(outcome).collect())
    }
}

impl SqlFeedbackDocuments {
    /// Gives the ids of what it wrote: what is new, newer, or of the same time and different.
    fn statement(&self) -> String {
        let rows = self.database.rows(&[
            Column::Text("feedback_id"),
            Column::Text("agent_id"),
            Column::Text("kind"),
            Column::Text("room_id"),
            Column::Text("message_id"),
            Column::Text("user_id"),
            Column::Text("text"),
            Column::Text("rating"),
            Column::Text("reaction"),
            Column::Number("created_at"),
            Column::Text("extra"),
        ]);
        let columns: Vec<&str> = COLUMNS.split(", ").skip(1).collect();
        let set: Vec<String> = columns
            .iter()
            .map(|column| format!("{column} = excluded.{column}"))
            .collect();
        let differs: Vec<String> = columns
            .iter()
            .map(|column| format!("excluded.{column} IS DISTINCT FROM {TABLE}.{column}"))
            .collect();
        format!(
            "INSERT INTO {TABLE} ({COLUMNS}) SELECT {COLUMNS} FROM {rows} WHERE true \
             ON CONFLICT (feedback_id) DO UPDATE SET {set} \
             WHERE excluded.created_at >= {TABLE}.created_at AND ({differs}) \
             RETURNING feedback_id",
            rows = rows.table(),
            set = set.join(", "),
            differs = differs.join(" OR "),
        )
    }
}

/// Every text of a document.
fn texts(document: &FeedbackDocument) -> impl Iterator<Item = &str> {
    let required = [
        document.feedback_id.as_str(),
        document.agent_id.as_str(),
        &document.room_id,
        &document.message_id,
        &document.user_id,
    ];
    let optional = [&document.text, &document.rating, &document.reaction];
    let extra = document.extra.iter();
    required
        .into_iter()
        .chain(optional.into_iter().filter_map(Option::as_deref))
        .chain(extra.flat_map(|(name, value)| [name.as_str(), value.as_str()]))
}

/// A row in the order of [`COLUMNS`].
fn values<'a>(pending: &'a Pending<'_, String>) -> impl serde::Serialize + use<'a> {
    let document = pending.document;
    (
        &document.feedback_id,
        document.agent_id.as_str(),
        document.kind.as_str(),
        &document.room_id,
        &document.message_id,
        &document.user_id,
        &document.text,
        &document.rating,
        &document.reaction,
        document.created_at.0,
        &pending.encoded,
    )
}

fn document(row: &AnyRow) -> Result<FeedbackDocument, StoreError> {
    let doing = "reading a feedback document";
    let text = |column: &str| -> Result<String, StoreError> {
        row.try_get(column)
            .map_err(|error| StoreError::of(doing, error))
    };
    let optional = |column: &str| -> Result<Option<String>, StoreError> {
        row.try_get(column)
            .map_err(|error| StoreError::of(doing, error))
    };
    let created_at = row
        .try_get("created_at")
        .map_err(|error| StoreError::of(doing, error))?;
    let corrupt = |detail: String| StoreError::Corrupt {
        table: TABLE,
        detail,
    };
    let agent_id = AgentId::new(text("agent_id")?);
    let extra = serde_json::from_str(&text("extra")?);
    Ok(FeedbackDocument {
        feedback_id: text("feedback_id")?,
        agent_id: agent_id.map_err(|error| corrupt(format!("an agent_id that {error}")))?,
        kind: FeedbackKind::from_field(text("kind")?)
            .map_err(|error| corrupt(format!("a kind that {error}")))?,
        room_id: text("room_id")?,
        message_id: text("message_id")?,
        user_id: text("user_id")?,
        text: optional("text")?,
        rating: optional("rating")?,
        reaction: optional("reaction")?,
        created_at: UnixMillis(created_at),
        extra: extra.map_err(|error| corrupt(error.to_string()))?,
    })
}
