//! What the workers need: at rest, and with a million messages waiting.

use std::time::Duration;

use anyhow::Result;
use common::topics::EventsRaw;
use tests::{Stack, sqlite};

use crate::events::events;
use crate::process::memory_kib;
use crate::redis_server::{Persistence, Redis};

const BACKLOG: u32 = 1_000_000;
const PUBLISHED_AT_ONCE: u32 = 50_000;
/// How long the workers work on the backlog; what they hold does not depend on it.
const WORKING: Duration = Duration::from_secs(20);

/// Resident memory of one worker in MiB.
#[derive(Debug, Clone, serde::Serialize)]
pub(crate) struct Memory {
    pub(crate) worker: &'static str,
    pub(crate) at_rest_mib: f64,
    /// The most there ever was.
    pub(crate) backlog_mib: f64,
}

pub(crate) async fn memory() -> Result<Vec<Memory>> {
    let redis = Redis::start(Persistence::Aof)?;
    let mut stack = Stack::start(redis.into_server(), sqlite()?, &[("RUST_LOG", "warn")]).await?;
    let admin = stack.another("admin", &[("ADMIN_ADDRESS", "127.0.0.1:0")])?;
    let workers = [
        ("ingestion", stack.ingestion.pid()),
        ("event-processors", stack.processors.pid()),
        ("admin", admin.pid()),
    ];
    let mib = |pid, line| memory_kib(pid, line).map(|kib| f64::from(kib) / 1024.0);
    let mut found = Vec::new();
    for (worker, pid) in workers {
        let at_rest_mib = mib(pid, "VmRSS")?;
        found.push(Memory {
            worker,
            at_rest_mib,
            backlog_mib: at_rest_mib,
        });
    }
    stack.ingestion.pause()?;
    let bus = stack.bus()?;
    for _ in 0..BACKLOG / PUBLISHED_AT_ONCE {
        bus.publish::<EventsRaw>(&events(PUBLISHED_AT_ONCE)).await?;
    }
    stack.ingestion.resume()?;
    tokio::time::timeout(WORKING, std::future::pending::<()>())
        .await
        .ok();
    for (memory, (_, pid)) in found.iter_mut().zip(workers) {
        memory.backlog_mib = mib(pid, "VmHWM")?;
    }
    Ok(found)
}
