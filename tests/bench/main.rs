//! What Millrace costs, beside the bare limit of the same machine in the same run: `make bench`.
//!
//! Each contender runs once uncounted, then both in turn. Medians are to be quoted, ratios to be
//! compared: absolute figures are of the machine.

mod bare_loop;
mod consume;
mod events;
mod feedback;
mod feedback_flow;
mod feedback_suite;
mod feedback_write;
mod flow;
mod http;
mod latency;
mod measure;
mod memory;
mod process;
mod publish;
mod redis_server;
mod report;
mod suite;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::Parser as _;

/// Measures Millrace beside the bare limit of this machine.
#[derive(Debug, clap::Parser)]
struct Options {
    /// Benches to run, such as publish or flow; all without any
    benches: Vec<String>,
    /// Turns that are counted
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u8).range(1..=50))]
    repetitions: u8,
    /// Where the figures go as JSON
    #[arg(long, default_value = "bench.json")]
    json: PathBuf,
    /// Cargo says so
    #[arg(long, hide = true)]
    bench: bool,
    /// Serve as the bare handler on this address, with the Redis of this URL
    #[arg(long, hide = true, num_args = 2, value_names = ["ADDRESS", "REDIS"])]
    bare_http: Vec<String>,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<ExitCode> {
    let options = Options::parse();
    if let [address, redis] = options.bare_http.as_slice() {
        http::bare::serve(address.parse()?, redis).await?;
        return Ok(ExitCode::SUCCESS);
    }
    let rows = Box::pin(suite::run(
        usize::from(options.repetitions),
        &options.benches,
    ))
    .await?;
    report::publish(&rows, &options.json)?;
    Ok(ExitCode::SUCCESS)
}
