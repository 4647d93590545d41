//! The bus within one process: a small truth for tests and experiments, held to the same contract.

mod operating;
mod receiving;
mod state;

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use common::topics::TopicInfo;
use common::{Clock, RawFields, UnixMillis};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use self::state::State;
use crate::consumer::Subscription;
use crate::delivery::StoredMessage;
use crate::error::BusError;
use crate::late_letter::LateLetter;
use crate::message_id::MessageId;
use crate::moves::Receiving;
use crate::once::{ClaimWindow, Once, OnceRule};
use crate::options::SubscribeOptions;
use crate::overview::TopicOverview;
use crate::server::{Encoded, Membership, Opened, Risk, Server};
use crate::settlement::{Settled, Settlement};
use crate::streams::{Claim, Claimed, Fresh, Pending, PendingQuery, Reader, Streams};

/// Streams in memory.
#[derive(Clone)]
pub(crate) struct MemoryServer {
    shared: Arc<Shared>,
}

struct Shared {
    clock: Arc<dyn Clock>,
    state: Mutex<State>,
    published: Notify,
}

impl fmt::Debug for MemoryServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryServer").finish_non_exhaustive()
    }
}

impl MemoryServer {
    pub(crate) fn new(clock: Arc<dyn Clock>) -> Self {
        let shared = Shared {
            clock,
            state: Mutex::default(),
            published: Notify::new(),
        };
        Self {
            shared: Arc::new(shared),
        }
    }

    fn with<R>(&self, action: impl FnOnce(&mut State, UnixMillis) -> R) -> R {
        let now = self.shared.clock.now();
        action(
            &mut self
                .shared
                .state
                .lock()
                .unwrap_or_else(PoisonError::into_inner),
            now,
        )
    }
}

struct MemoryReader {
    server: MemoryServer,
    member: Membership,
    wait: Duration,
}

#[async_trait]
impl Reader for MemoryReader {
    async fn read(&mut self, count: usize) -> Result<Fresh, BusError> {
        let published = self.server.shared.published.notified();
        let mut published = std::pin::pin!(published);
        published.as_mut().enable();
        let read = |state: &mut State, now| Fresh {
            messages: state.read_new(&self.member, count, now),
            repeat_until: MessageId::ZERO,
        };
        let fresh = self.server.with(read);
        if !fresh.messages.is_empty() || tokio::time::timeout(self.wait, published).await.is_err() {
            return Ok(fresh);
        }
        Ok(self.server.with(read))
    }
}

fn encoded(all: &dyn Encoded, number: usize) -> RawFields {
    let mut fields = RawFields::default();
    all.encode(number, &mut fields);
    fields
}

#[async_trait]
impl Server for MemoryServer {
    async fn publish(&self, topic: &str, all: &dyn Encoded) -> Result<Vec<MessageId>, BusError> {
        let append = |state: &mut State, now| {
            (0..all.len())
                .map(|number| state.append(topic, encoded(all, number), now))
                .collect()
        };
        let ids = self.with(append);
        self.shared.published.notify_waiters();
        Ok(ids)
    }

    async fn publish_once(
        &self,
        topic: &str,
        messages: &dyn Encoded,
        claims: &[Once],
    ) -> Result<Vec<Option<MessageId>>, BusError> {
        let ids = self.with(|state, now| {
            let publish = |(number, once): (usize, &Once)| {
                let claimed = state.claim_once(once, now);
                claimed.then(|| state.append(topic, encoded(messages, number), now))
            };
            claims.iter().enumerate().map(publish).collect()
        });
        self.shared.published.notify_waiters();
        Ok(ids)
    }

    async fn publish_new(
        &self,
        topic: &str,
        messages: &dyn Encoded,
        (names, window): (&[String], ClaimWindow),
    ) -> Result<Vec<Option<MessageId>>, BusError> {
        let claim = |name: &String| Once {
            key: name.clone(),
            claimant: window.claimant,
            window: window.length,
            rule: OnceRule::Unclaimed,
        };
        let claims: Vec<Once> = names.iter().map(claim).collect();
        self.publish_once(topic, messages, &claims).await
    }

    fn receiving(self: Arc<Self>) -> Option<Arc<dyn Receiving>> {
        Some(self)
    }

    async fn give_up_late(
        &self,
        topic: &TopicInfo,
        letters: &[LateLetter],
    ) -> Result<u64, BusError> {
        Ok(self.with(|state, now| state.give_up_late(topic, letters, now)))
    }

    async fn open_group(&self, topic: &str, group: &str) -> Result<Opened, BusError> {
        self.with(|state, _| state.open_group(topic, group));
        Ok(Opened::Found)
    }

    fn subscribe(
        self: Arc<Self>,
        topic: TopicInfo,
        group: &'static str,
        options: SubscribeOptions,
        stop: CancellationToken,
    ) -> Subscription {
        Subscription::on_streams(self, topic, group, (options, stop))
    }

    async fn trim(&self, topic: &TopicInfo) -> Result<u64, BusError> {
        Ok(self.with(|state, _| state.trim(topic)))
    }

    async fn overview(&self, topic: &TopicInfo) -> Result<TopicOverview, BusError> {
        Ok(self.with(|state, now| state.overview(topic, now)))
    }

    async fn range(
        &self,
        stream: &str,
        from: MessageId,
        count: usize,
    ) -> Result<Vec<StoredMessage>, BusError> {
        Ok(self.with(|state, _| state.range(stream, from, count)))
    }

    async fn check(&self) -> Result<Vec<Risk>, BusError> {
        let forgetting = "the bus is in memory: everything is lost when the process stops";
        Ok(vec![Risk::Forgetting(forgetting.to_owned())])
    }
}

#[async_trait]
impl Streams for MemoryServer {
    fn reader(&self, member: &Membership, wait: Duration) -> Box<dyn Reader> {
        Box::new(MemoryReader {
            server: self.clone(),
            member: member.clone(),
            wait,
        })
    }

    async fn pending(
        &self,
        member: &Membership,
        query: PendingQuery,
    ) -> Result<Vec<Pending>, BusError> {
        Ok(self.with(|state, now| state.pending(member, &query, now)))
    }

    async fn claim(&self, member: &Membership, claims: &[Claim]) -> Result<Claimed, BusError> {
        Ok(self.with(|state, now| state.claim(member, claims, now)))
    }

    async fn renew(
        &self,
        member: &Membership,
        ids: &[MessageId],
    ) -> Result<Vec<MessageId>, BusError> {
        Ok(self.with(|state, now| {
            ids.iter()
                .copied()
                .filter(|id| !state.touch(member, *id, now, None))
                .collect()
        }))
    }

    async fn hand_back(
        &self,
        member: &Membership,
        messages: &[(MessageId, u32)],
        idle: Duration,
    ) -> Result<(), BusError> {
        self.with(|state, now| {
            for (id, deliveries) in messages {
                state.touch(member, *id, now.minus(idle), Some(*deliveries));
            }
        });
        Ok(())
    }

    async fn settle(&self, member: &Membership, all: &Settlement) -> Result<Settled, BusError> {
        let settled = self.with(|state, now| state.settle(member, all, now));
        self.shared.published.notify_waiters();
        Ok(settled)
    }

    async fn remove_idle_consumers(
        &self,
        member: &Membership,
        idle_min: Duration,
    ) -> Result<u64, BusError> {
        Ok(self.with(|state, now| state.remove_idle_consumers(member, now.minus(idle_min))))
    }
}
