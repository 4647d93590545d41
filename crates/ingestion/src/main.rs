//! Takes events in over HTTP (role `api`) and gives them their normal form (role `normalizer`).

mod api;
mod backlog;
mod group_commit;
mod metrics;
mod normalizer;
mod resolution;
mod rules;
mod settings;

use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context as _;
use common::Clock;
use common::topics::{self, EventsNormalized, EventsRaw, Topic as _};
use stores::Profiles;
use worker::{SystemClock, Worker};

use crate::api::Api;
use crate::backlog::Backlog;
use crate::group_commit::group_commit;
use crate::normalizer::Normalizer;
use crate::settings::Config;

fn main() -> ExitCode {
    worker::main("ingestion", start)
}

async fn start(config: Config, worker: &mut Worker) -> anyhow::Result<()> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let bus = config.bus.open()?;
    let connected = worker.wait_for("redis", async || {
        config.bus.check(&bus).await?;
        Ok(bus.open_groups(topics::ALL).await?)
    });
    connected.await.context("connecting to the bus")?;
    let backlog = |topics: &[_]| Backlog::new(&bus, topics, &config.bus);
    if config.role.serves_api() {
        let accepted = backlog(&[EventsRaw::INFO, EventsNormalized::INFO]).watched(worker);
        let (publisher, group_commit) = group_commit(bus.clone(), config.dedup_window());
        worker.task("group-commit", group_commit.run());
        let api = Api::new(publisher, accepted, Arc::clone(&clock), &config);
        let address = worker.serve("api", config.address, api.router()).await?;
        tracing::info!(%address, "accepting events at POST /v1/events");
    }
    if config.role.normalizes() {
        let database = config.sql.open()?;
        let ready = worker
            .wait_for("sql", async || Ok(database.ready().await?))
            .await;
        ready.context("connecting to the profile store")?;
        // Not its own input: that shrinks only while it works.
        let downstream = backlog(&[EventsNormalized::INFO]).watched(worker);
        let normalizer = Normalizer::new(Profiles::new(database), downstream, clock, &config);
        worker.stage(&bus, config.bus.subscribe_options(), normalizer);
    }
    Ok(())
}
