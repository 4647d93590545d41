//! The whole flow, HTTP to features in SQL, by the load generator that users have.

use std::process::Command;
use std::time::Instant;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use testkit::servers::binary;
use tests::{SqlServer, Stack};

use crate::measure::{Meter, Sample};
use crate::redis_server::{Persistence, Redis};

const EVENTS: u32 = 60_000;
/// For the latency: events per second, and for how many seconds.
const RATE: u32 = 2_000;
const SECONDS: u32 = 8;

/// What one run of the whole flow came to.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Flow {
    /// Until all features are in SQL.
    pub(crate) sample: Sample,
    /// Milliseconds from when an event was due until its features are in SQL, at [`RATE`].
    pub(crate) p50_ms: f64,
    pub(crate) p99_ms: f64,
}

/// One run on servers of its own.
pub(crate) async fn flow(persistence: Persistence, sql: SqlServer) -> Result<Flow> {
    let redis = Redis::start(persistence)?;
    let redis_pid = redis.pid()?;
    let stack = Stack::start(redis.into_server(), sql, &[("RUST_LOG", "warn")]).await?;
    let programs = [stack.ingestion.pid(), stack.processors.pid()];
    load(&stack, &["--events", "5000"])?;
    let events = EVENTS.to_string();
    let meter = Meter::start(&programs, &[redis_pid])?;
    load(&stack, &["--events", &events])?;
    let sample = meter.stop(EVENTS)?;
    let (rate, seconds) = (RATE.to_string(), format!("{SECONDS}s"));
    let report = load(&stack, &["--rate", &rate, "--duration", &seconds])?;
    let percentile = |name: &str| {
        let latency = report.pointer("/end_to_end/latency_ms")?;
        latency.get(name)?.as_f64()
    };
    Ok(Flow {
        sample,
        p50_ms: percentile("p50").context("no p50")?,
        p99_ms: percentile("p99").context("no p99")?,
    })
}

/// Ends when every event has had its effects; gives the report.
fn load(stack: &Stack, arguments: &[&str]) -> Result<Value> {
    let started = Instant::now();
    let output = Command::new(binary("millrace")?)
        .args(["load", "--json", "--duplicates", "0", "--connections", "8"])
        .args(["--url", &format!("http://{}", stack.api)])
        .args(arguments)
        .env("REDIS_URL", stack.redis.url())
        .output()
        .context("starting the load")?;
    let complaint = String::from_utf8_lossy(&output.stderr);
    let took = started.elapsed();
    ensure!(output.status.success(), "after {took:?}: {complaint}");
    serde_json::from_slice(&output.stdout).context("reading the report of the load")
}
