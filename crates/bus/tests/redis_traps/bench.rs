//! A bus on a server of the test's own, and what a test does to it behind its back.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Context as _, Result};
use bus::{Bus, Consumer, Settled, Settlement};
use common::Topic as _;
use testkit::servers::{RedisServer, eventually_async, or_skip, redis_cli};

use crate::notes::{Notes, notes};
use crate::readers::{Reader, SOON, assert_conserved, done, group_when, number_of};

pub(crate) const COMMAND_TIMEOUT: Duration = Duration::from_secs(2);

/// A server that a test may kill, pause and empty.
pub(crate) struct Bench {
    pub(crate) bus: Bus,
    pub(crate) server: RedisServer,
}

impl Bench {
    /// `None` after a loud skip.
    pub(crate) fn start() -> Result<Option<Self>> {
        Self::start_with(COMMAND_TIMEOUT)
    }

    pub(crate) fn start_with(command_timeout: Duration) -> Result<Option<Self>> {
        let Some(server) = or_skip("redis-server", RedisServer::start()) else {
            return Ok(None);
        };
        let bus = Bus::on_redis(server.url(), command_timeout)?;
        Ok(Some(Self { bus, server }))
    }

    /// Runs a command as an administrator would.
    pub(crate) fn cli(&self, command: &[&str]) -> Result<String> {
        redis_cli(self.server.url(), command)
    }

    /// Has a consumer take the next messages, and forget them: a reply that nobody got.
    pub(crate) fn deliver_to_nobody(&self, consumer: &str, count: u32) -> Result<()> {
        let (stream, count) = (Notes::INFO.name, count.to_string());
        let read = ["XREADGROUP", "GROUP", "readers", consumer, "COUNT", &count];
        let read = [&read[..], &["STREAMS", stream, ">"]].concat();
        self.cli(&read).map(drop)
    }

    /// The connection whose blocking read has waited for so long; waits until there is one. Redis
    /// tells it as the difference of two seconds of the clock: 2 is more than one second.
    pub(crate) async fn blocked_reader(&self, seconds_min: u32) -> Result<String> {
        let blocked = |line: &&str| {
            let idle = value_of(line, "idle=").and_then(|idle| idle.parse::<u32>().ok());
            value_of(line, "cmd=") == Some("xreadgroup")
                && value_of(line, "flags=") == Some("b")
                && idle.is_some_and(|idle| idle >= seconds_min)
        };
        eventually_async("a blocked reader", SOON, async || {
            let list = self.cli(&["CLIENT", "LIST"]).ok()?;
            let line = list.lines().find(blocked)?;
            value_of(line, "id=").map(str::to_owned)
        })
        .await
    }
}

fn value_of<'a>(line: &'a str, name: &str) -> Option<&'a str> {
    line.split(' ').find_map(|word| word.strip_prefix(name))
}

/// Publishes until the server has it, as a sender does.
pub(crate) async fn publish_surely(bus: &Bus, numbers: impl Iterator<Item = u32>) -> Result<()> {
    let notes = notes(numbers);
    let attempt = async || bus.publish::<Notes>(&notes).await.ok().map(drop);
    eventually_async("publishing", SOON, attempt).await
}

/// Settles until the server has it, as a stage does.
pub(crate) async fn settle_surely(consumer: &Consumer, all: &Settlement) -> Result<Settled> {
    eventually_async("settling", SOON, async || consumer.settle(all).await.ok()).await
}

/// Finishes whatever comes until all these have come, and nothing is left.
pub(crate) async fn finish_all(
    bus: &Bus,
    reader: &mut Reader,
    numbers: impl Iterator<Item = u32>,
) -> Result<()> {
    let mut missing: BTreeSet<u32> = numbers.collect();
    while !missing.is_empty() {
        let batch = reader
            .next()
            .await
            .with_context(|| format!("{} never came: {missing:?}", missing.len()))?;
        settle_surely(&reader.consumer, &done(batch.messages.iter().map(|m| m.id))).await?;
        for message in &batch.messages {
            missing.remove(&number_of(message)?);
        }
    }
    // Repeats of what was published twice may still be on their way.
    let finishing = async {
        loop {
            let batch = reader.next().await?;
            settle_surely(&reader.consumer, &done(batch.messages.iter().map(|m| m.id))).await?;
        }
    };
    let nothing_left = group_when(bus, &Notes::INFO, "nothing to be left", |group| {
        group.pending == 0 && group.undelivered.count == 0
    });
    tokio::select! {
        ended = finishing => ended,
        group = nothing_left => group.map(drop),
    }
}

/// [`finish_all`], after which every message is accounted for.
pub(crate) async fn finish_all_and_account(
    bus: &Bus,
    reader: &mut Reader,
    numbers: impl Iterator<Item = u32>,
) -> Result<()> {
    finish_all(bus, reader, numbers).await?;
    assert_conserved(bus, &Notes::INFO).await
}
