//! Turns normalised events into features, analytics and prediction requests.

mod event_processor;
mod ledger_pruner;
mod metrics;
mod outbox_relay;
mod settings;
mod stale_predictions;

use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context as _;
use common::{Clock, topics};
use stores::{Features, Outbox, Role, UniqueProfiles};
use worker::{SystemClock, Worker};

use crate::event_processor::EventProcessor;
use crate::ledger_pruner::LedgerPruner;
use crate::outbox_relay::OutboxRelay;
use crate::settings::Config;
use crate::stale_predictions::StalePredictions;

fn main() -> ExitCode {
    worker::main("event-processors", start)
}

async fn start(config: Config, worker: &mut Worker) -> anyhow::Result<()> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let bus = config.bus.open()?;
    let connected = worker.wait_for("redis", async || {
        config.bus.check(&bus).await?;
        Ok(bus.open_groups(topics::ALL).await?)
    });
    connected.await.context("connecting to the bus")?;
    let database = config.sql.open()?;
    let ready = worker
        .wait_for("sql", async || Ok(database.ready().await?))
        .await;
    ready.context("connecting to the feature store")?;

    let features = Features::new(database.clone());
    let unique = UniqueProfiles::new(config.bus.redis.link(Role::Views)?);
    let policy = config.prediction_policy();
    let processor = EventProcessor::new(features.clone(), unique, policy, Arc::clone(&clock));
    worker.stage(&bus, config.bus.subscribe_options(), processor);
    OutboxRelay::new(bus.clone(), Outbox::new(database)).run(worker);
    StalePredictions::new(features.clone(), Arc::clone(&clock), &config).run(worker);
    LedgerPruner::new(bus, features, clock).run(worker);
    Ok(())
}
