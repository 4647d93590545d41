//! Consuming: a stage with a processor that does nothing beside a bare loop of the same reads.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use bus::{Bus, SubscribeOptions};
use common::topics::{EventsRaw, Topic as _, groups};
use worker::{Batch, CancellationToken, Health, Processor, Stage, Verdicts};

use crate::bare_loop::BareLoop;
use crate::events::events;
use crate::measure::{Meter, Sample, Turns};
use crate::redis_server::Redis;

const MESSAGES: u32 = 200_000;
/// Short, because the stage ends only when its last read, which finds nothing, has ended.
const READ_WAIT: Duration = Duration::from_millis(5);

/// Reads each payload, as the bare loop does, and finds nothing to do.
struct Nothing {
    left: Arc<AtomicU32>,
    stop: CancellationToken,
}

impl Processor for Nothing {
    const GROUP: &'static str = groups::NORMALIZERS;
    type Input = EventsRaw;

    async fn process(&self, batch: &Batch<EventsRaw>) -> Result<Verdicts> {
        for received in &batch.messages {
            let payload: serde_json::Value = serde_json::from_str(&received.message.payload.0)?;
            ensure!(payload.is_object(), "no object");
        }
        let count = u32::try_from(batch.messages.len())?;
        if self.left.fetch_sub(count, Ordering::Relaxed) == count {
            self.stop.cancel();
        }
        Ok(Verdicts::all_done())
    }
}

/// Messages per second of both.
pub(crate) async fn consume(redis: &Redis, repetitions: usize) -> Result<Turns> {
    let events = events(MESSAGES);
    let bus = Bus::on_redis(redis.url(), Duration::from_secs(5))?;
    let fill = async || -> Result<()> {
        redis.empty()?;
        bus.open_groups(&[EventsRaw::INFO]).await?;
        bus.publish::<EventsRaw>(&events).await?;
        Ok(())
    };
    let bare = async || {
        fill().await?;
        bare(redis).await
    };
    let ours = async || {
        fill().await?;
        ours(&bus, redis).await
    };
    Turns::take(repetitions, bare, ours).await
}

async fn ours(bus: &Bus, redis: &Redis) -> Result<Sample> {
    let stop = CancellationToken::new();
    let processor = Nothing {
        left: Arc::new(AtomicU32::new(MESSAGES)),
        stop: stop.clone(),
    };
    let options = SubscribeOptions {
        read_wait: READ_WAIT,
        ..SubscribeOptions::default()
    };
    let stage = Stage::new(bus, options, processor, Health::default(), stop);
    let meter = Meter::start(&[std::process::id()], &[redis.pid()?])?;
    stage.run().await;
    let sample = meter.stop(MESSAGES)?;
    let overview = bus.overview(&EventsRaw::INFO).await?;
    let group = overview.groups.first().context("no group")?;
    ensure!(group.done == u64::from(MESSAGES), "{group:?}");
    Ok(sample)
}

async fn bare(redis: &Redis) -> Result<Sample> {
    let mut bare = BareLoop::new(redis).await?;
    let meter = Meter::start(&[std::process::id()], &[redis.pid()?])?;
    let mut read = 0;
    while read < MESSAGES {
        for payload in bare.next().await? {
            let payload: serde_json::Value = serde_json::from_slice(&payload)?;
            ensure!(payload.is_object(), "no object");
            read += 1;
        }
    }
    bare.finish().await?;
    meter.stop(MESSAGES)
}
