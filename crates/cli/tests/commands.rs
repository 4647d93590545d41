//! The subcommands as processes, against real servers and workers.

#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a helper of a test fails with the test"
)]

#[path = "commands/dead.rs"]
mod dead;
#[path = "commands/documents.rs"]
mod documents;
#[path = "commands/events.rs"]
mod events;
#[path = "commands/feedback.rs"]
mod feedback;
#[path = "commands/load.rs"]
mod load;
#[path = "commands/millrace.rs"]
mod millrace;
#[path = "commands/operating.rs"]
mod operating;
#[path = "commands/places.rs"]
mod places;
#[path = "commands/reader.rs"]
mod reader;
#[path = "commands/trace.rs"]
mod trace;
