//! Batches in Redis: every step is one script, so that a crash leaves nothing between two steps.

mod adding;
mod due;
mod keys;
mod meta;
mod pages;
mod reply;
mod scripts;
mod taking;
mod viewing;

use std::time::Duration;

use async_trait::async_trait;
use common::AgentId;
use redis_link::{InvalidServer, Link};

use super::batches::{
    Added, BatchOverview, BatchesOverview, DueWhen, FeedbackBatches, FlushLease, TakenBatch,
};
use super::item::FeedbackItem;
use crate::error::StoreError;

/// How much longer than the wait for replicas a command may take.
const REPLICAS_MARGIN: Duration = Duration::from_secs(2);

/// How items are kept in Redis.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RedisBatchOptions {
    /// Bytes of the items of one agent in one `add` above which they are compressed.
    pub plain_bytes_max: usize,
    /// Replicas that must have the items before they count as added.
    pub replicas: u32,
    /// How long they are waited for.
    pub replicas_wait: Duration,
}

/// Batches on a Redis server.
#[derive(Debug, Clone)]
pub struct RedisFeedbackBatches {
    link: Link,
    /// Waiting for replicas holds up its connection, so it has one of its own.
    adding: Link,
    options: RedisBatchOptions,
}

impl Default for RedisBatchOptions {
    fn default() -> Self {
        Self {
            plain_bytes_max: 65_536,
            replicas: 0,
            replicas_wait: Duration::from_secs(1),
        }
    }
}

impl RedisFeedbackBatches {
    /// The batches on the server of a URL. Connects when first used.
    pub fn at(
        url: &str,
        response_timeout: Duration,
        options: RedisBatchOptions,
    ) -> Result<Self, InvalidServer> {
        Ok(Self::new(Link::open(url, response_timeout)?, options))
    }

    /// The batches on a server.
    pub fn new(link: Link, options: RedisBatchOptions) -> Self {
        let adding = match options.replicas {
            0 => link.clone(),
            _ => link.separate(options.replicas_wait + REPLICAS_MARGIN),
        };
        Self {
            link,
            adding,
            options,
        }
    }
}

#[async_trait]
impl FeedbackBatches for RedisFeedbackBatches {
    fn name(&self) -> &'static str {
        "redis"
    }

    fn is_durable(&self) -> bool {
        true
    }

    async fn add(&self, items: &[FeedbackItem]) -> Result<Added, StoreError> {
        adding::add(&self.adding, items, &self.options).await
    }

    async fn due(&self, when: &DueWhen, count: usize) -> Result<Vec<AgentId>, StoreError> {
        due::due(&self.link, when, count).await
    }

    async fn take(
        &self,
        agent: &AgentId,
        lease: &FlushLease,
    ) -> Result<Option<TakenBatch>, StoreError> {
        taking::take(&self.link, agent, lease).await
    }

    async fn renew(&self, batch: &TakenBatch, lease: &FlushLease) -> Result<bool, StoreError> {
        taking::renew(&self.link, batch, lease.length).await
    }

    async fn release(&self, batch: &TakenBatch, wait: Duration) -> Result<(), StoreError> {
        taking::release(&self.link, batch, wait).await
    }

    async fn finish(&self, batch: &TakenBatch) -> Result<bool, StoreError> {
        taking::finish(&self.link, batch).await
    }

    async fn request_flush(&self, agent: Option<&AgentId>) -> Result<u64, StoreError> {
        due::request(&self.link, agent).await
    }

    async fn overview(&self, count: usize) -> Result<BatchesOverview, StoreError> {
        viewing::overview(&self.link, count).await
    }

    async fn of_agent(&self, agent: &AgentId) -> Result<Vec<BatchOverview>, StoreError> {
        viewing::of_agent(&self.link, agent).await
    }
}
