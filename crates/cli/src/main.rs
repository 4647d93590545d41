//! `millrace`: the command line. One file for each subcommand; `command.rs` lists them.

mod analytics;
mod audit;
mod bounded_lines;
mod bus;
mod command;
mod completions;
mod dead;
mod duration;
mod event_id;
mod feedback;
mod http;
mod live_line;
mod load;
mod man;
mod migrate;
mod output;
mod pending;
mod people;
mod profile;
mod profiles;
mod send;
mod service;
mod signals;
mod streams;
mod topic_argument;
mod trace;
mod up;

use std::process::ExitCode;

fn main() -> ExitCode {
    let result = worker::parse().map(|command: command::Command| {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let result = runtime.block_on(Box::pin(command.run()));
        // A blocked read of stdin or write to stdout must not hold up the exit.
        runtime.shutdown_background();
        result
    });
    result.map_or_else(
        |code| code,
        |ran| ran.unwrap_or_else(|error| output::failure(&error)),
    )
}
