//! The front door beside a bare handler.

pub(crate) mod bare;
mod client;

use std::time::Duration;

use anyhow::{Context as _, Result};
use common::messages::RawEvent;
use testkit::servers::{WorkerProcess, binary, free_address, redis_cli};

use crate::events::{events, json};
use crate::measure::{Meter, Sample, Turns};
use crate::redis_server::Redis;

const READY: Duration = Duration::from_secs(30);

/// How events are sent.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Load {
    pub(crate) connections: u32,
    pub(crate) requests_each: u32,
    pub(crate) events_per_request: u32,
}

impl Load {
    pub(crate) const SINGLES: Self = Self {
        connections: 64,
        requests_each: 1_500,
        events_per_request: 1,
    };
    pub(crate) const BATCHES: Self = Self {
        connections: 16,
        requests_each: 100,
        events_per_request: 100,
    };

    fn total(self) -> u32 {
        self.connections * self.requests_each * self.events_per_request
    }

    /// The requests of each connection.
    fn requests(self, path: &str, events: &[RawEvent]) -> Vec<Vec<Vec<u8>>> {
        let body = |events: &[RawEvent]| {
            let all: Vec<String> = events.iter().map(json).collect();
            match self.events_per_request {
                1 => all.concat(),
                _ => format!("[{}]", all.join(",")),
            }
        };
        let per_request = usize::try_from(self.events_per_request).unwrap_or(1);
        let each = usize::try_from(self.requests_each).unwrap_or(1);
        let requests = events.chunks(per_request).map(body);
        let requests: Vec<Vec<u8>> = requests.map(|b| client::request(path, &b)).collect();
        requests.chunks(each).map(<[_]>::to_vec).collect()
    }
}

/// Events per second of both.
pub(crate) async fn front_door(redis: &Redis, load: Load, repetitions: usize) -> Result<Turns> {
    let bare_address = free_address()?;
    let program = std::env::current_exe().context("finding this program")?;
    let arguments = [bare::OPTION, &bare_address, redis.url()];
    let mut bare = WorkerProcess::start_program("bare", &program, &arguments, &[])?;
    bare.wait_ready(&bare_address, READY)?;
    let (api, ops) = (free_address()?, free_address()?);
    let variables = [
        ("INGESTION_ADDRESS", api.as_str()),
        ("OPS_ADDRESS", &ops),
        ("INGESTION_ROLE", "api"),
        ("REDIS_URL", redis.url()),
        ("DATABASE_URL", "sqlite://unused.db?mode=rwc"),
        ("RUST_LOG", "warn"),
    ];
    let path = binary("ingestion")?;
    let mut ingestion = WorkerProcess::start_program("ingestion", &path, &[], &variables)?;
    ingestion.wait_ready(&ops, READY)?;
    let bare_path = match load.events_per_request {
        1 => "/single",
        _ => "/batch",
    };
    let limit = async || send(redis, load, (&bare_address, bare_path, bare.pid())).await;
    let ours = async || send(redis, load, (&api, "/v1/events", ingestion.pid())).await;
    Turns::take(repetitions, limit, ours).await
}

async fn send(redis: &Redis, load: Load, to: (&str, &str, u32)) -> Result<Sample> {
    let (address, path, pid) = to;
    redis_cli(redis.url(), &["FLUSHALL", "SYNC"])?;
    let requests = load.requests(path, &events(load.total()));
    let meter = Meter::start(&[pid], &[redis.pid()?])?;
    client::send(address, &requests).await?;
    meter.stop(load.total())
}
