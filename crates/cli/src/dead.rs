//! `millrace dead`: messages that were given up, and deciding what becomes of them.

mod decide;
mod letters;
mod list;
mod show;

use std::process::ExitCode;

/// Show dead letters, send them again or remove them
///
/// A message that failed for good, or too often, is kept as a dead letter for 30 days, with its
/// reason. When the cause is mended it can be sent again; what is sent again is processed once.
#[derive(Debug, clap::Args)]
pub(crate) struct DeadLetters {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    List(list::ListLetters),
    Show(show::ShowLetter),
    Redrive(decide::Redrive),
    Discard(decide::Discard),
}

impl DeadLetters {
    pub(crate) async fn run(self) -> anyhow::Result<ExitCode> {
        match self.command {
            Command::List(command) => command.run().await,
            Command::Show(command) => command.run().await,
            Command::Redrive(command) => command.run().await,
            Command::Discard(command) => command.run().await,
        }
    }
}
