//! The connections, stages and tasks of the worker.

use std::sync::Arc;
use std::sync::atomic::AtomicU32;
use std::time::Duration;

use anyhow::Context as _;
use bus::{Bus, Role};
use common::topics::{FeedbackReactions, FeedbackReplies};
use common::{Clock, Topic as _};
use stores::{FeedbackBatchStore, FeedbackBatches, FeedbackDocuments};
use worker::{ConfigError, SystemClock, Worker, WorkerConfig as _};

use crate::failed_tries::FailedTries;
use crate::feedback_stage::{Collecting, FeedbackStage};
use crate::flush::{BATCHES, DOCUMENTS, Flusher};
use crate::flush_loop::FlushLoop;
use crate::holding::Holding;
use crate::late_letters::LateLetters;
use crate::looking::Looking;
use crate::open_batches::OpenBatches;
use crate::settings::Config;

/// How long looking at the settings of a Redis server may take.
const CHECK_TIMEOUT: Duration = Duration::from_secs(5);
/// The part of the grace in which a store that forgets is flushed; in the rest of it what could not
/// be flushed is handed back.
const FLUSHING_SHARE: f64 = 0.8;

/// What the stages and the flush loop are built of.
struct Parts {
    bus: Bus,
    clock: Arc<dyn Clock>,
    batches: Arc<dyn FeedbackBatches>,
    documents: Arc<dyn FeedbackDocuments>,
}

/// Connects, and starts the stages and the flush loop.
pub(crate) async fn start(config: Config, worker: &mut Worker) -> anyhow::Result<()> {
    let parts = connect(&config, worker).await?;
    let open = OpenBatches::new(config.flush.batch_size);
    let held_max = usize::try_from(config.held_max).unwrap_or(usize::MAX);
    let holding = (!parts.batches.is_durable()).then(|| Holding::new(held_max));
    let collecting = Collecting {
        batches: Arc::clone(&parts.batches),
        rules: config.item_rules(),
        open: open.clone(),
    };
    let (replies, reactions) = match &holding {
        Some(Holding { replies, reactions }) => (Some(replies.clone()), Some(reactions.clone())),
        None => (None, None),
    };
    let options = config.bus.subscribe_options();
    let stage = FeedbackStage::<FeedbackReplies>::new(collecting.clone(), replies);
    worker.stage(&parts.bus, options.clone(), stage);
    let stage = FeedbackStage::<FeedbackReactions>::new(collecting, reactions);
    worker.stage(&parts.bus, options.clone(), stage);

    let letters = LateLetters::new(parts.bus.clone(), parts.clock, options.consumer);
    let flusher = Flusher {
        batches: Arc::clone(&parts.batches),
        documents: Arc::clone(&parts.documents),
        bus: parts.bus.clone(),
        letters,
        holding: holding.clone(),
        settings: config.flush.clone(),
        health: worker.health(),
        failed: FailedTries::default(),
    };
    let looking = Looking {
        batches: parts.batches,
        documents: parts.documents,
        bus: parts.bus,
        open: open.clone(),
        holding,
        settings: config.flush.clone(),
        health: worker.health(),
        looks: AtomicU32::new(0),
    };
    let flush_loop = FlushLoop {
        flusher: Arc::new(flusher),
        looking: Arc::new(looking),
        open,
        stop: worker.stop_token(),
        last_flushes: config.worker().grace().mul_f64(FLUSHING_SHARE),
    };
    worker.task("flush-loop", flush_loop.run());
    Ok(())
}

async fn connect(config: &Config, worker: &mut Worker) -> anyhow::Result<Parts> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let bus = config.bus.open()?;
    let connected = worker.wait_for("redis", async || {
        config.bus.check(&bus).await?;
        let topics = [FeedbackReplies::INFO, FeedbackReactions::INFO];
        Ok(bus.open_groups(&topics).await?)
    });
    connected.await.context("connecting to the bus")?;

    let redis = &config.bus.redis;
    let batches = config
        .batches
        .open(redis, &config.mongo, Arc::clone(&clock));
    let batches = batches.map_err(|error| ConfigError(error.to_string()))?;
    let own_server = redis.url(Role::Feedback) != redis.url(Role::Streams);
    if config.batches.feedback_batch_store == FeedbackBatchStore::Redis && own_server {
        // It must keep what it is given as the bus must.
        let server = Bus::on_redis(&redis.url(Role::Feedback), CHECK_TIMEOUT)?;
        let checked = worker.wait_for(BATCHES, async || Ok(config.bus.check(&server).await?));
        checked.await.context("connecting to the batch store")?;
    }
    let database = config.sql.open()?;
    let documents = config.documents.open(&config.mongo, &database);
    if config.mongo.mongodb_uri.is_none() {
        let ready = worker.wait_for("sql", async || Ok(database.ready().await?));
        ready.await.context("connecting to the document store")?;
    }
    let prepared = worker.wait_for(DOCUMENTS, async || Ok(documents.prepare().await?));
    prepared.await.context("preparing the document store")?;
    Ok(Parts {
        bus,
        clock,
        batches,
        documents,
    })
}
