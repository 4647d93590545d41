//! `millrace`: the command line. One file for each subcommand; this one lists them.

mod analytics;
mod bounded_lines;
mod duration;
mod http;
mod migrate;
mod output;
mod people;
mod profile;
mod profiles;
mod send;
mod signals;
mod streams;
mod up;

use std::process::ExitCode;

/// Runs Millrace, sends events to it and shows what it does with them.
#[derive(Debug, clap::Parser)]
#[command(name = "millrace", version, max_term_width = 100)]
enum Command {
    Up(up::Up),
    Send(send::SendEvents),
    Streams(streams::Streams),
    Profile(profile::Profile),
    Profiles(profiles::ListProfiles),
    Analytics(analytics::ShowAnalytics),
    Migrate(migrate::Migrate),
}

async fn run(command: Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Up(command) => command.run().await,
        Command::Send(command) => command.run().await,
        Command::Streams(command) => command.run().await,
        Command::Profile(command) => command.run().await,
        Command::Profiles(command) => command.run().await,
        Command::Analytics(command) => command.run().await,
        Command::Migrate(command) => command.run().await,
    }
}

fn main() -> ExitCode {
    let result = worker::parse().map(|command| {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let result = runtime.block_on(Box::pin(run(command)));
        // A blocked read of stdin or write to stdout must not hold up the exit.
        runtime.shutdown_background();
        result
    });
    result.map_or_else(
        |code| code,
        |ran| ran.unwrap_or_else(|error| output::failure(&error)),
    )
}
