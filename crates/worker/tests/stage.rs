//! The consume loop: what becomes of messages whatever the processor, its dependencies, the bus and
//! the signal to stop do.

#[path = "stage/bench.rs"]
mod bench;
#[path = "stage/notes.rs"]
mod notes;
#[path = "stage/scripted.rs"]
mod scripted;

/// Makes tests of the cases of a module, one on each back-end of the bus.
macro_rules! on_both_back_ends {
    ($($case:ident,)*) => {
        mod memory {
            $(#[tokio::test]
            async fn $case() -> anyhow::Result<()> {
                super::$case(crate::bench::Bench::in_memory()).await
            })*
        }

        mod redis {
            $(#[tokio::test]
            async fn $case() -> anyhow::Result<()> {
                let Some(bench) = crate::bench::Bench::on_redis()? else { return Ok(()) };
                super::$case(bench).await
            })*
        }
    };
}

#[path = "stage/batches.rs"]
mod batches;
#[path = "stage/bus_down.rs"]
mod bus_down;
#[path = "stage/culprits.rs"]
mod culprits;
#[path = "stage/later.rs"]
mod later;
#[path = "stage/outputs.rs"]
mod outputs;
#[path = "stage/stopping.rs"]
mod stopping;
#[path = "stage/verdicts.rs"]
mod verdicts;
#[path = "stage/waiting.rs"]
mod waiting;
