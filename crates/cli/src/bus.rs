//! `millrace bus`: on which server topics live, and moving them.

mod migrate;
mod status;

use std::process::ExitCode;

/// Show where topics live, and move them from Redis to Kafka
#[derive(Debug, clap::Args)]
pub(crate) struct BusPlaces {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    Status(status::Status),
    Migrate(migrate::MigrateTopic),
}

impl BusPlaces {
    pub(crate) async fn run(self) -> anyhow::Result<ExitCode> {
        match self.command {
            Command::Status(command) => command.run().await,
            Command::Migrate(command) => command.run().await,
        }
    }
}
