//! `millrace migrate`: brings the tables of the database to this version.

use std::process::ExitCode;

use anyhow::Context as _;
use stores::SqlSettings;

use crate::output::Output;

/// Bring the tables of the SQL database to this version; does nothing when they are
#[derive(Debug, clap::Args)]
pub(crate) struct Migrate {
    #[command(flatten)]
    sql: SqlSettings,
}

impl Migrate {
    pub(crate) async fn run(self) -> anyhow::Result<ExitCode> {
        let database = self.sql.open()?;
        let applied = database.migrate().await.context("migrating the database")?;
        let text = match applied {
            0 => "the tables are of this version".to_owned(),
            1 => "applied 1 migration".to_owned(),
            more => format!("applied {more} migrations"),
        };
        Output::stdout().line(&text)?;
        Ok(ExitCode::SUCCESS)
    }
}
