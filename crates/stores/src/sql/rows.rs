//! Many rows in one parameter: a JSON array of arrays, which both databases can read as a table.

use serde::Serialize;

use super::Engine;
use crate::error::StoreError;

/// A column of a table of values, by its name.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Column {
    /// A text.
    Text(&'static str),
    /// A whole number of 64 bits.
    Number(&'static str),
}

/// A table expression over the parameter `$1`.
#[derive(Debug)]
pub(crate) struct Rows {
    expression: String,
}

impl Rows {
    pub(super) fn new(engine: Engine, columns: &[Column]) -> Self {
        let select: Vec<String> = columns
            .iter()
            .enumerate()
            .map(|(index, column)| match (engine, column) {
                (Engine::Sqlite, Column::Text(name) | Column::Number(name)) => {
                    format!("json_extract(value, '$[{index}]') AS {name}")
                }
                (Engine::Postgres, Column::Text(name)) => format!("value ->> {index} AS {name}"),
                (Engine::Postgres, Column::Number(name)) => {
                    format!("CAST(value ->> {index} AS BIGINT) AS {name}")
                }
            })
            .collect();
        let each = match engine {
            Engine::Sqlite => "json_each($1)",
            Engine::Postgres => "json_array_elements(CAST($1 AS json)) AS t (value)",
        };
        Self {
            expression: format!("(SELECT {} FROM {each}) AS v", select.join(", ")),
        }
    }

    /// The table expression, named `v`.
    pub(crate) fn table(&self) -> &str {
        &self.expression
    }

    /// The value of the parameter: rows are tuples in the order of the columns.
    pub(crate) fn values<T: Serialize>(rows: &[T]) -> Result<String, StoreError> {
        serde_json::to_string(rows).map_err(|error| StoreError::Corrupt {
            table: "a parameter",
            detail: error.to_string(),
        })
    }
}
