//! The life of a worker process: settings, telemetry, signals, health, and the loop that consumes
//! a topic. *When* a stage runs is here; *what* it does is not.
//!
//! It knows no domain word and no store. Its promises: a signal stops reading and finishes what is
//! in hand; a dependency that is down makes a stage wait and burns no attempts; a batch that fails
//! for any other reason is taken apart until the culprit is alone.

/// Every program that has a worker's life has this allocator.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

mod clock;
mod failure;
mod health;
mod held;
pub mod http;
mod life;
pub mod metrics;
mod ops;
mod parsing;
mod processor;
mod settings;
mod settling;
mod signals;
mod stage;
mod telemetry;
mod waiting;

pub use clock::SystemClock;
pub use failure::{ConfigError, explain};
pub use health::Health;
pub use held::HeldMessages;
pub use life::{Worker, main};
pub use parsing::{EXIT_USAGE, parse};
pub use processor::{Batch, Processor, Received, Verdicts};
pub use settings::{LogFormat, WorkerConfig, WorkerSettings};
pub use stage::Stage;
pub use tokio_util::sync::CancellationToken;
pub use waiting::Backoff;
