//! Batches feedback on agents and writes it to the document store.

mod created_events;
mod failed_tries;
mod feedback_stage;
mod flush;
mod flush_loop;
mod holding;
mod item;
mod late_letters;
mod looking;
mod metrics;
mod open_batches;
mod settings;
mod starting;
#[cfg(test)]
mod testing;
mod writing;

use std::process::ExitCode;

fn main() -> ExitCode {
    worker::main("feedback-flusher", starting::start)
}
