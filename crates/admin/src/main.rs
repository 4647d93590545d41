//! Shows what the system does, to the people who run it.

mod api;
mod audit;
mod dead_letters;
mod feedback;
mod fields;
mod guard;
mod health;
mod page;
mod params;
mod people;
mod problems;
mod settings;
mod streams;

use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context as _;
use common::Clock;
use stores::{Analytics, Features, Profiles, Role, UniqueProfiles};
use worker::{SystemClock, Worker};

use crate::api::Api;
use crate::feedback::Feedback;
use crate::settings::Config;

fn main() -> ExitCode {
    worker::main("admin", start)
}

async fn start(config: Config, worker: &mut Worker) -> anyhow::Result<()> {
    let bus = config.bus.open()?;
    let database = config.sql.open()?;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let api = Api {
        bus: bus.clone(),
        profiles: Profiles::new(database.clone()),
        features: Features::new(database.clone()),
        analytics: Analytics::new(database.clone()),
        unique: UniqueProfiles::new(config.bus.redis.link(Role::Views)?),
        feedback: Feedback::open(&config, &database, &clock)?,
        clock,
        token: config.token.map(Arc::from),
        default_region: config.default_region,
    };
    // First: who wants to know what is down asks while it is down.
    let address = worker.serve("api", config.address, api.router()).await?;
    tracing::info!(%address, "serving the admin API");
    let connected = worker
        .wait_for("redis", async || Ok(config.bus.check(&bus).await?))
        .await;
    connected.context("connecting to the bus")?;
    let ready = worker
        .wait_for("sql", async || Ok(database.ready().await?))
        .await;
    ready.context("connecting to the database")?;
    Ok(())
}
