//! `millrace feedback`: feedback on agents, what waits of it and what is kept.

mod agent;
mod flush;
mod given;
mod send;
mod stats;
mod stores;

use std::process::ExitCode;

/// Send feedback on agents, and show what waits for its flush and what is kept
///
/// Feedback on an agent waits in a batch until there is enough of it or it has waited long enough.
/// Then it is written to the document store, and `feedback.created` tells of every document.
#[derive(Debug, clap::Args)]
pub(crate) struct Feedback {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    Send(Box<send::SendFeedback>),
    Stats(stats::Stats),
    Agent(agent::ShowAgent),
    Flush(flush::Flush),
}

impl Feedback {
    pub(crate) async fn run(self) -> anyhow::Result<ExitCode> {
        match self.command {
            Command::Send(command) => command.run().await,
            Command::Stats(command) => command.run().await,
            Command::Agent(command) => command.run().await,
            Command::Flush(command) => command.run().await,
        }
    }
}
