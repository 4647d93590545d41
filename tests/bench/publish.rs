//! Publishing in batches: the bus beside the bare pipeline of the same commands.

use std::time::Duration;

use anyhow::{Context as _, Result};
use bus::Bus;
use common::RawFields;
use common::messages::RawEvent;
use common::topics::{EventsRaw, Topic as _};

use crate::events::events;
use crate::measure::{Meter, Sample, Turns};
use crate::redis_server::Redis;

const BATCH: usize = 256;
const MESSAGES: u32 = 256 * 400;

/// Messages per second of both.
pub(crate) async fn publish(redis: &Redis, repetitions: usize) -> Result<Turns> {
    let events = events(MESSAGES);
    let bus = Bus::on_redis(redis.url(), Duration::from_secs(5))?;
    let bare = async || bare(redis, &events).await;
    let ours = async || {
        redis.empty()?;
        let meter = Meter::start(&[std::process::id()], &[redis.pid()?])?;
        for batch in events.chunks(BATCH) {
            bus.publish::<EventsRaw>(batch).await?;
        }
        meter.stop(MESSAGES)
    };
    Turns::take(repetitions, bare, ours).await
}

async fn bare(redis: &Redis, events: &[RawEvent]) -> Result<Sample> {
    redis.empty()?;
    let fields: Vec<RawFields> = events.iter().map(RawFields::of).collect();
    let mut connection = redis.connection().await?;
    let meter = Meter::start(&[std::process::id()], &[redis.pid()?])?;
    for batch in fields.chunks(BATCH) {
        let mut pipeline = redis::pipe();
        for message in batch {
            pipeline.cmd("XADD").arg(EventsRaw::INFO.name).arg("*");
            for (name, value) in &message.0 {
                pipeline.arg(name).arg(value);
            }
        }
        let ids: Vec<String> = pipeline.query_async(&mut connection).await?;
        ids.last().context("no ids")?;
    }
    meter.stop(MESSAGES)
}
