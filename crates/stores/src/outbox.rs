//! Messages that wait in the database to be published: they were committed with what caused them.

use common::{RawFields, UnixMillis};
use serde_json::Value;
use sqlx::{AnyConnection, Row as _};

use crate::error::StoreError;
use crate::sql::{Column, Database, Rows, fetch_with};

/// A message that is to be published once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutboxMessage {
    /// Unique for what must be published once.
    pub id: String,
    /// The topic's name.
    pub topic: String,
    /// Its fields.
    pub fields: RawFields,
}

/// The outbox.
#[derive(Debug, Clone)]
pub struct Outbox {
    database: Database,
}

impl Outbox {
    /// The outbox in a database.
    pub fn new(database: Database) -> Self {
        Self { database }
    }

    /// The oldest messages, at most so many. They stay until they are removed.
    pub async fn oldest(&self, count: u32) -> Result<Vec<OutboxMessage>, StoreError> {
        let doing = "reading the outbox";
        let rows =
            sqlx::query("SELECT id, topic, fields FROM outbox ORDER BY created_at, id LIMIT $1")
                .bind(i64::from(count))
                .fetch_all(self.database.pool())
                .await
                .map_err(|error| StoreError::of(doing, error))?;
        let message = |row: sqlx::any::AnyRow| {
            let text = |index: usize| -> Result<String, StoreError> {
                row.try_get(index)
                    .map_err(|error| StoreError::of(doing, error))
            };
            Ok(OutboxMessage {
                id: text(0)?,
                topic: text(1)?,
                fields: fields_of(&text(2)?)?,
            })
        };
        rows.into_iter().map(message).collect()
    }

    /// Removes messages that were published.
    pub async fn remove(&self, messages: &[OutboxMessage]) -> Result<(), StoreError> {
        let rows = self.database.rows(&[Column::Text("id")]);
        let ids: Vec<(&str,)> = messages
            .iter()
            .map(|message| (message.id.as_str(),))
            .collect();
        let statement = format!(
            "DELETE FROM outbox WHERE id IN (SELECT v.id FROM {})",
            rows.table()
        );
        let mut connection = self.database.connection().await?;
        fetch_with(
            &mut connection,
            "emptying the outbox",
            statement,
            Rows::values(&ids)?,
        )
        .await?;
        Ok(())
    }
}

/// Adds messages within a transaction; one whose id is there already is not added again.
pub(crate) async fn add(
    connection: &mut AnyConnection,
    database: &Database,
    messages: &[OutboxMessage],
    now: UnixMillis,
) -> Result<(), StoreError> {
    if messages.is_empty() {
        return Ok(());
    }
    let rows = database.rows(&[
        Column::Text("id"),
        Column::Text("topic"),
        Column::Text("fields"),
        Column::Number("created_at"),
    ]);
    let values: Vec<_> = messages
        .iter()
        .map(|message| {
            let fields = text_of(&message.fields);
            (message.id.as_str(), message.topic.as_str(), fields, now.0)
        })
        .collect();
    let statement = format!(
        "INSERT INTO outbox (id, topic, fields, created_at) \
         SELECT v.id, v.topic, v.fields, v.created_at FROM {} WHERE true ON CONFLICT DO NOTHING",
        rows.table()
    );
    fetch_with(
        connection,
        "adding to the outbox",
        statement,
        Rows::values(&values)?,
    )
    .await?;
    Ok(())
}

/// Fields as a JSON array of pairs. What our own messages encode is always UTF-8.
fn text_of(fields: &RawFields) -> String {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let pair = |(name, value): &(Vec<u8>, Vec<u8>)| Value::from(vec![text(name), text(value)]);
    fields.0.iter().map(pair).collect::<Value>().to_string()
}

fn fields_of(text: &str) -> Result<RawFields, StoreError> {
    let pairs: Vec<(String, String)> =
        serde_json::from_str(text).map_err(|error| StoreError::Corrupt {
            table: "outbox",
            detail: error.to_string(),
        })?;
    Ok(RawFields(
        pairs
            .into_iter()
            .map(|(name, value)| (name.into(), value.into()))
            .collect(),
    ))
}
