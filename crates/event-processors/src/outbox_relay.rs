//! The task `outbox-relay`: publishes what was committed to be published.
//!
//! A message is removed after it was published; a crash between the two publishes it again, under
//! the same claim, so once.

use std::time::Duration;

use anyhow::Context as _;
use bus::{Bus, Once, OnceRule};
use common::keys::OutboxKey;
use common::topics::{self, TopicInfo};
use crash_points::{CrashPoint, reached};
use stores::{Outbox, OutboxMessage};
use worker::Worker;

use crate::metrics;

/// How often the outbox is looked at.
const INTERVAL: Duration = Duration::from_millis(200);
/// Messages that are published together.
const PAGE: u32 = 500;
/// How long it is remembered that a message was published: longer than any crash loop.
const WINDOW: Duration = Duration::from_hours(7 * 24);
/// Who claims.
const CLAIMANT: &str = "outbox-relay";

/// Publishes the outbox.
#[derive(Debug, Clone)]
pub(crate) struct OutboxRelay {
    bus: Bus,
    outbox: Outbox,
}

impl OutboxRelay {
    pub(crate) fn new(bus: Bus, outbox: Outbox) -> Self {
        Self { bus, outbox }
    }

    pub(crate) fn run(self, worker: &mut Worker) {
        let stop = worker.stop_token();
        worker.every("outbox-relay", INTERVAL, move || {
            let (relay, stop) = (self.clone(), stop.clone());
            async move {
                while !stop.is_cancelled() && relay.publish_page().await? {}
                Ok(())
            }
        });
    }

    /// Publishes the oldest messages; gives whether there may be more.
    async fn publish_page(&self) -> anyhow::Result<bool> {
        let messages = self.outbox.oldest(PAGE).await?;
        metrics::outbox(messages.len());
        if messages.is_empty() {
            return Ok(false);
        }
        for topic in topics::ALL {
            self.publish(topic, &messages).await?;
        }
        reached(CrashPoint::OutboxPublished);
        self.outbox.remove(&messages).await?;
        reached(CrashPoint::OutboxRemoved);
        Ok(messages.len() == usize::try_from(PAGE)?)
    }

    async fn publish(&self, topic: &TopicInfo, all: &[OutboxMessage]) -> anyhow::Result<()> {
        let of_topic: Vec<&OutboxMessage> = all
            .iter()
            .filter(|message| message.topic == topic.name)
            .collect();
        if of_topic.is_empty() {
            return Ok(());
        }
        let fields: Vec<_> = of_topic
            .iter()
            .map(|message| message.fields.clone())
            .collect();
        let claims: Vec<Once> = of_topic.iter().map(|message| claim(message)).collect();
        let published = self.bus.publish_fields_once(topic, &fields, &claims).await;
        published.with_context(|| format!("publishing the outbox on {}", topic.name))?;
        Ok(())
    }
}

fn claim(message: &OutboxMessage) -> Once {
    Once {
        key: OutboxKey {
            message_id: message.id.clone(),
        }
        .to_string(),
        claimant: CLAIMANT,
        window: WINDOW,
        rule: OnceRule::Unclaimed,
    }
}
