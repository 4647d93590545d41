//! Feedback from the chat service's message to its document and its event, with real servers and
//! real processes: exactly one document for each piece of feedback, and one event for each document,
//! whatever dies in between.

#[path = "feedback/bench.rs"]
mod bench;
#[path = "feedback/given.rs"]
mod given;

/// Makes tests of the cases of a module, one in each world that they are about.
macro_rules! in_worlds {
    ($($world:ident { $($case:ident,)* })*) => {
        $(mod $world {
            $(#[tokio::test]
            async fn $case() -> anyhow::Result<()> {
                let Some(bench) = crate::bench::Bench::$world().await? else { return Ok(()) };
                super::$case(bench).await
            })*
        })*
    };
}

#[path = "feedback/crashes.rs"]
mod crashes;
#[path = "feedback/flushing.rs"]
mod flushing;
#[path = "feedback/outages.rs"]
mod outages;
#[path = "feedback/poison.rs"]
mod poison;
#[path = "feedback/stopping.rs"]
mod stopping;
#[path = "feedback/waiting.rs"]
mod waiting;
