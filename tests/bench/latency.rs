//! Latency through the bus at a fixed rate: from before the publishing call until a processor has
//! the message, beside a bare loop.

use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow, ensure};
use bus::{Bus, SubscribeOptions};
use common::RawFields;
use common::messages::JsonText;
use common::topics::{EventsRaw, Topic as _, groups};
use worker::{Batch, CancellationToken, Health, Processor, Stage, Verdicts};

use crate::bare_loop::BareLoop;
use crate::events::events;
use crate::measure::Spread;
use crate::redis_server::Redis;

/// Messages per second.
const RATE: u32 = 2_000;
const MESSAGES: usize = 10_000;
/// Not counted, while both sides warm up.
const WARM_UP: usize = 1_000;

/// Microseconds.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Percentiles {
    pub(crate) p50: f64,
    pub(crate) p99: f64,
}

/// The limit's and ours.
pub(crate) type Turn = (Percentiles, Percentiles);

/// Ours divided by the limit's, turn by turn.
pub(crate) fn ratio(turns: &[Turn], figure: fn(&Percentiles) -> f64) -> Spread {
    Spread::of(
        turns
            .iter()
            .map(|(limit, ours)| figure(ours) / figure(limit)),
    )
}

/// Percentiles of both, in turn.
pub(crate) async fn latency(redis: &Redis, repetitions: usize) -> Result<Vec<Turn>> {
    let mut turns = Vec::new();
    for _ in 0..repetitions {
        turns.push((bare(redis).await?, ours(redis).await?));
    }
    Ok(turns)
}

/// Sends messages at the rate from a thread of its own, each with its time of sending.
fn send(url: &str, zero: Instant) -> JoinHandle<Result<()>> {
    let url = url.to_owned();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let client = redis::Client::open(url)?;
        let mut connection = runtime.block_on(client.get_multiplexed_async_connection())?;
        let started = Instant::now();
        for (number, mut event) in (0..).zip(events(u32::try_from(MESSAGES)?)) {
            pause_until(started + Duration::from_secs(1) * number / RATE);
            event.payload = JsonText(format!("{{\"at\":{}}}", zero.elapsed().as_micros()));
            let mut command = redis::cmd("XADD");
            command.arg(EventsRaw::INFO.name).arg("*");
            for (name, value) in &RawFields::of(&event).0 {
                command.arg(name).arg(value);
            }
            runtime.block_on(command.exec_async(&mut connection))?;
        }
        Ok(())
    })
}

/// The timers of Tokio are too coarse for the rate.
fn pause_until(due: Instant) {
    while let Some(rest) = due.checked_duration_since(Instant::now()) {
        std::thread::park_timeout(rest);
    }
}

/// Microseconds from the time in a payload until now.
fn age(payload: &[u8], zero: Instant) -> Result<u32> {
    let payload: serde_json::Value = serde_json::from_slice(payload)?;
    let at = payload.get("at").and_then(serde_json::Value::as_u64);
    let age = zero.elapsed().as_micros();
    Ok(u32::try_from(age)?.saturating_sub(u32::try_from(at.context("no time")?)?))
}

async fn bare(redis: &Redis) -> Result<Percentiles> {
    redis.empty()?;
    let mut bare = BareLoop::new(redis).await?;
    bare.create_group().await?;
    let zero = Instant::now();
    let sender = send(redis.url(), zero);
    let mut ages = Vec::with_capacity(MESSAGES);
    while ages.len() < MESSAGES {
        for payload in bare.next().await? {
            ages.push(age(&payload, zero)?);
        }
    }
    finish(ages, sender)
}

/// Notes how old each message is.
struct Noting {
    zero: Instant,
    ages: Arc<Mutex<Vec<u32>>>,
    stop: CancellationToken,
}

impl Processor for Noting {
    const GROUP: &'static str = groups::NORMALIZERS;
    type Input = EventsRaw;

    async fn process(&self, batch: &Batch<EventsRaw>) -> Result<Verdicts> {
        let mut ages = self.ages.lock().unwrap_or_else(PoisonError::into_inner);
        for received in &batch.messages {
            ages.push(age(received.message.payload.0.as_bytes(), self.zero)?);
        }
        if ages.len() == MESSAGES {
            self.stop.cancel();
        }
        Ok(Verdicts::all_done())
    }
}

async fn ours(redis: &Redis) -> Result<Percentiles> {
    redis.empty()?;
    let bus = Bus::on_redis(redis.url(), Duration::from_secs(5))?;
    bus.open_groups(&[EventsRaw::INFO]).await?;
    let stop = CancellationToken::new();
    let ages = Arc::new(Mutex::new(Vec::with_capacity(MESSAGES)));
    let zero = Instant::now();
    let noting = Noting {
        zero,
        ages: Arc::clone(&ages),
        stop: stop.clone(),
    };
    let options = SubscribeOptions::default();
    let stage = Stage::new(&bus, options, noting, Health::default(), stop);
    let sender = send(redis.url(), zero);
    stage.run().await;
    let ages = std::mem::take(&mut *ages.lock().unwrap_or_else(PoisonError::into_inner));
    finish(ages, sender)
}

fn finish(ages: Vec<u32>, sender: JoinHandle<Result<()>>) -> Result<Percentiles> {
    sender
        .join()
        .map_err(|_| anyhow!("the sender panicked"))??;
    ensure!(ages.len() == MESSAGES, "{} messages", ages.len());
    let mut ages = ages.get(WARM_UP..).context("messages")?.to_vec();
    ages.sort_unstable();
    let at = |percent: usize| ages.get(ages.len() * percent / 100).copied();
    Ok(Percentiles {
        p50: f64::from(at(50).context("p50")?),
        p99: f64::from(at(99).context("p99")?),
    })
}
