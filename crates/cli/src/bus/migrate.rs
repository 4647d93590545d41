//! `millrace bus migrate`: moves a topic from Redis to Kafka.

use std::process::ExitCode;
use std::sync::Mutex;

use anyhow::Context as _;
use bus::{Bus, BusSettings, Migrated};
use common::topics::TopicInfo;
use worker::ConfigError;

use crate::live_line::LiveLine;
use crate::output::{Output, grouped};
use crate::topic_argument;

const TEMPLATE: &str = "{bar:30} {pos} of {len}, {wide_msg}";

/// Move a topic that is in use from Redis to Kafka
///
/// What its group has not settled goes over in order, dead letters too; while it does, publishing to
/// the topic waits. Every process must have `KAFKA_BROKERS` set: one that has not refuses the topic
/// from then on. A move that was cut off is continued by running it again.
#[derive(Debug, clap::Args)]
pub(super) struct MigrateTopic {
    /// The topic
    #[arg(value_parser = topic_argument::parse)]
    topic: TopicInfo,
    /// Only say what would go over
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    bus: BusSettings,
}

impl MigrateTopic {
    pub(super) async fn run(self) -> anyhow::Result<ExitCode> {
        if self.bus.kafka.kafka_brokers.is_none() {
            let text = "KAFKA_BROKERS is not set: it says to which brokers the topic goes";
            return Err(ConfigError(text.to_owned()).into());
        }
        let bus = self.bus.open()?;
        let migration = bus
            .migration()
            .context("no topic can be moved to Kafka yet")?;
        let name = self.topic.name;
        let (messages, letters) = self.left_on_redis(&bus).await?;
        let left = messages + letters;
        if self.dry_run {
            let (messages, letters) = (grouped(messages), grouped(letters));
            let text =
                format!("{messages} messages and {letters} dead letters of {name} would go over");
            Output::stdout().line(&text)?;
            return Ok(ExitCode::SUCCESS);
        }
        let live = Mutex::new(LiveLine::new(Some(left), 0, TEMPLATE));
        let report = |done| {
            if let Ok(mut live) = live.lock() {
                live.update(done, || format!("{} went over", grouped(done)));
            }
        };
        let moved = migration.run(&self.topic, &report).await;
        if let Ok(live) = live.lock() {
            live.end();
        }
        let moved = moved.with_context(|| format!("moving {name}; run it again to continue"))?;
        let text = match moved {
            Some(Migrated { messages, letters }) => format!(
                "{name} lives on Kafka: {} messages and {} dead letters went over",
                grouped(messages),
                grouped(letters)
            ),
            None => format!("{name} lives on Kafka; nothing was left to move"),
        };
        Output::stdout().line(&text)?;
        Ok(ExitCode::SUCCESS)
    }

    /// Messages that the group has not settled, and dead letters, as Redis sees them.
    async fn left_on_redis(&self, bus: &Bus) -> anyhow::Result<(u64, u64)> {
        let overview = bus.overview_on_redis(&self.topic).await;
        let overview = overview.context("counting what is on Redis")?;
        let backlog = overview
            .groups
            .iter()
            .map(bus::GroupOverview::backlog)
            .sum();
        Ok((backlog, overview.dead_letters))
    }
}
