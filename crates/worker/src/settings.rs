//! The settings that every worker has.

use std::net::SocketAddr;
use std::time::Duration;

use clap::Parser;

use crate::failure::ConfigError;

/// All settings of one kind of worker.
pub trait WorkerConfig: Parser {
    /// Those that every worker has.
    fn worker(&self) -> &WorkerSettings;

    /// Refuses settings that do not go together, before anything is started.
    fn check(&self) -> Result<(), ConfigError> {
        Ok(())
    }
}

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum LogFormat {
    /// For people.
    Text,
    /// For machines, one JSON object a line.
    Json,
}

/// The worker itself.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Worker")]
pub struct WorkerSettings {
    /// Address of /live, /ready and /metrics; port 0 takes any free port
    #[arg(long, env = "OPS_ADDRESS", default_value = "127.0.0.1:0")]
    pub ops_address: SocketAddr,
    /// How log lines look
    #[arg(long, env = "LOG_FORMAT", value_enum, default_value = "text")]
    pub log_format: LogFormat,
    /// What is logged, as tracing directives such as `info` or `warn,bus=debug`
    #[arg(long, env = "LOG", default_value = "info")]
    pub log: String,
    /// Milliseconds that work in hand may take after a signal to stop
    #[arg(long, env = "GRACE_MS", default_value_t = 20_000, value_parser = clap::value_parser!(u64).range(0..=3_600_000))]
    pub grace_ms: u64,
    /// Exit when a server cannot be reached at start, instead of waiting for it
    #[arg(long, env = "FAIL_FAST")]
    pub fail_fast: bool,
    /// Where to crash, and at which passage, as `<point>:<n>`; there only in builds for tests
    #[cfg(feature = "armed")]
    #[arg(long, env = crash_points::VARIABLE, hide = true)]
    pub crash_at: Option<crash_points::Arming>,
}

impl WorkerSettings {
    /// How long work in hand may take after a signal to stop.
    pub fn grace(&self) -> Duration {
        Duration::from_millis(self.grace_ms)
    }
}
