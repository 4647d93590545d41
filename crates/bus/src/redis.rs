//! The bus on Redis Streams. The only place that names stream commands.

pub(crate) mod claims;
mod inspect;
mod late_letters;
mod moves;
mod operating;
pub(crate) mod publish_new;
pub(crate) mod reply;
pub(crate) mod scripts;
mod settle;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use common::FieldSink;
use common::keys::{FailuresKey, GroupStateKey, LettersKey};
use common::topics::TopicInfo;
use redis_link::{Cmd, Durability, Link, Pipeline, Value, cmd, pipe};
use tokio_util::sync::CancellationToken;

use self::claims::{ClaimKinds, Texts, kind_of};
pub(crate) use self::moves::RedisMoves;
use crate::consumer::Subscription;
use crate::delivery::StoredMessage;
use crate::error::BusError;
use crate::late_letter::LateLetter;
use crate::message_id::MessageId;
use crate::once::{ClaimWindow, Once};
use crate::options::SubscribeOptions;
use crate::overview::TopicOverview;
use crate::server::{Encoded, Membership, Opened, Risk, Server};
use crate::settlement::{Settled, Settlement};
use crate::streams::{Claim, Claimed, Fresh, Pending, PendingQuery, RETRYING, Reader, Streams};

/// How much longer than its wait a blocking read may take before the connection counts as broken.
const READ_MARGIN: Duration = Duration::from_secs(2);

/// Streams on one Redis server.
#[derive(Debug)]
pub(crate) struct RedisServer {
    link: Link,
}

impl RedisServer {
    pub(crate) fn new(link: Link) -> Self {
        Self { link }
    }

    /// What is known of topics that are moved away from this server.
    pub(crate) fn moves(&self) -> RedisMoves {
        RedisMoves::new(self.link.clone())
    }
}

/// A blocking command holds up its connection, so a reader has one of its own.
struct RedisReader {
    link: Link,
    member: Membership,
    wait: Duration,
}

fn reading_link(link: &Link, wait: Duration) -> Link {
    link.separate(wait + READ_MARGIN)
}

#[async_trait]
impl Reader for RedisReader {
    async fn read(&mut self, count: usize) -> Result<Fresh, BusError> {
        let result = self.read_once(count).await;
        if result.as_ref().is_err_and(BusError::is_unavailable) {
            // The server may still deliver to the old connection: leave it for good.
            self.link = reading_link(&self.link, self.wait);
        }
        result
    }
}

impl RedisReader {
    async fn read_once(&self, count: usize) -> Result<Fresh, BusError> {
        let Membership {
            topic,
            group,
            consumer,
        } = &self.member;
        let mut pipeline = pipe();
        pipeline.cmd("XREADGROUP").arg("GROUP").arg(*group);
        pipeline.arg(consumer).arg("COUNT").arg(count);
        pipeline.arg("BLOCK").arg(millis(self.wait));
        pipeline.arg("STREAMS").arg(*topic).arg(">");
        // A peer may have created the group again since the last read.
        pipeline.cmd("HGET").arg(state_key(topic, group));
        pipeline.arg("repeat_until");
        let mut replies = self.link.send_all(&pipeline).await?.into_iter();
        let mut next = || replies.next().transpose().map(Option::unwrap_or_default);
        let messages = reply::read_messages(next()?)?;
        let repeat_until = match next()? {
            Value::Nil => MessageId::ZERO,
            id => reply::message_id(id)?,
        };
        Ok(Fresh {
            messages,
            repeat_until,
        })
    }
}

#[async_trait]
impl Server for RedisServer {
    async fn publish(&self, topic: &str, all: &dyn Encoded) -> Result<Vec<MessageId>, BusError> {
        let mut pipeline = pipe();
        for number in 0..all.len() {
            pipeline.cmd("XADD").arg(topic).arg("*");
            all.encode(number, &mut PipelineSink(&mut pipeline));
        }
        let replies = self.link.send_all(&pipeline).await?;
        replies
            .into_iter()
            .map(|reply| reply::message_id(reply?))
            .collect()
    }

    async fn publish_once(
        &self,
        topic: &str,
        messages: &dyn Encoded,
        claims: &[Once],
    ) -> Result<Vec<Option<MessageId>>, BusError> {
        let kinds = ClaimKinds::of(claims.iter().map(kind_of));
        let mut command = scripts::PUBLISH_ONCE.command(1);
        command.arg(topic);
        kinds.write(&mut command);
        let mut texts = Texts::default();
        for (number, claim) in claims.iter().enumerate() {
            kinds.write_claim(&mut command, Some(claim));
            messages.encode(number, &mut texts);
            texts.write(&mut command);
        }
        let ids = self.link.run(&scripts::PUBLISH_ONCE, &command).await?;
        reply::array(ids)?
            .into_iter()
            .map(reply::optional_message_id)
            .collect()
    }

    async fn publish_new(
        &self,
        topic: &str,
        messages: &dyn Encoded,
        claims: (&[String], ClaimWindow),
    ) -> Result<Vec<Option<MessageId>>, BusError> {
        publish_new::publish_new(&self.link, topic, messages, claims).await
    }

    async fn give_up_late(
        &self,
        topic: &TopicInfo,
        letters: &[LateLetter],
    ) -> Result<u64, BusError> {
        late_letters::give_up_late(&self.link, topic, letters).await
    }

    async fn open_group(&self, topic: &str, group: &str) -> Result<Opened, BusError> {
        let mut command = scripts::OPEN_GROUP.command(2);
        command.arg(topic).arg(state_key(topic, group)).arg(group);
        let opened = self.link.run(&scripts::OPEN_GROUP, &command).await?;
        Ok(match reply::number(opened)? {
            0 => Opened::Found,
            1 => Opened::Recreated,
            _ => Opened::Created,
        })
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
        inspect::trim(&self.link, topic).await
    }

    async fn overview(&self, topic: &TopicInfo) -> Result<TopicOverview, BusError> {
        inspect::overview(&self.link, topic).await
    }

    async fn range(
        &self,
        stream: &str,
        from: MessageId,
        count: usize,
    ) -> Result<Vec<StoredMessage>, BusError> {
        let mut command = cmd("XRANGE");
        command
            .arg(stream)
            .arg(from.to_string())
            .arg("+")
            .arg("COUNT")
            .arg(count);
        reply::messages(self.link.send(&command).await?)
    }

    async fn check(&self) -> Result<Vec<Risk>, BusError> {
        let durability = Durability::of(&self.link).await?;
        let eviction = durability.eviction_problem().map(Risk::Eviction);
        let forgetting = durability.persistence_problem().map(Risk::Forgetting);
        Ok(eviction.into_iter().chain(forgetting).collect())
    }
}

#[async_trait]
impl Streams for RedisServer {
    fn reader(&self, member: &Membership, wait: Duration) -> Box<dyn Reader> {
        Box::new(RedisReader {
            link: reading_link(&self.link, wait),
            member: member.clone(),
            wait,
        })
    }

    async fn pending(
        &self,
        member: &Membership,
        query: PendingQuery,
    ) -> Result<Vec<Pending>, BusError> {
        let mut command = cmd("XPENDING");
        command.arg(member.topic).arg(member.group);
        command.arg("IDLE").arg(millis(query.idle_min));
        command
            .arg(query.after.next().to_string())
            .arg("+")
            .arg(query.count);
        if let Some(consumer) = query.consumer {
            command.arg(consumer);
        }
        reply::pending(self.link.send(&command).await?)
    }

    async fn claim(&self, member: &Membership, claims: &[Claim]) -> Result<Claimed, BusError> {
        let mut command = scripts::CLAIM.command(2);
        command
            .arg(member.topic)
            .arg(state_key(member.topic, member.group));
        command.arg(member.group).arg(&member.consumer);
        for claim in claims {
            command
                .arg(claim.id.to_string())
                .arg(millis(claim.idle_min))
                .arg(claim.deliveries);
        }
        reply::claimed(self.link.run(&scripts::CLAIM, &command).await?)
    }

    async fn renew(
        &self,
        member: &Membership,
        ids: &[MessageId],
    ) -> Result<Vec<MessageId>, BusError> {
        let mut command = scripts::RENEW.command(2);
        command
            .arg(member.topic)
            .arg(state_key(member.topic, member.group));
        command.arg(member.group).arg(&member.consumer);
        push_ids(&mut command, ids);
        let lost = self.link.run(&scripts::RENEW, &command).await?;
        reply::array(lost)?
            .into_iter()
            .map(reply::message_id)
            .collect()
    }

    async fn hand_back(
        &self,
        member: &Membership,
        messages: &[(MessageId, u32)],
        idle: Duration,
    ) -> Result<(), BusError> {
        let mut command = scripts::HAND_BACK.command(2);
        command
            .arg(member.topic)
            .arg(state_key(member.topic, member.group));
        command
            .arg(member.group)
            .arg(&member.consumer)
            .arg(millis(idle));
        for (id, deliveries) in messages {
            command.arg(id.to_string()).arg(*deliveries);
        }
        self.link.run(&scripts::HAND_BACK, &command).await?;
        Ok(())
    }

    async fn settle(&self, member: &Membership, all: &Settlement) -> Result<Settled, BusError> {
        settle::settle(&self.link, member, all).await
    }

    async fn remove_idle_consumers(
        &self,
        member: &Membership,
        idle_min: Duration,
    ) -> Result<u64, BusError> {
        let mut command = scripts::REMOVE_IDLE_CONSUMERS.command(1);
        command
            .arg(member.topic)
            .arg(member.group)
            .arg(RETRYING)
            .arg(millis(idle_min));
        reply::number(
            self.link
                .run(&scripts::REMOVE_IDLE_CONSUMERS, &command)
                .await?,
        )
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

fn state_key(topic: &str, group: &str) -> String {
    GroupStateKey {
        topic: topic.to_owned(),
        group: group.to_owned(),
    }
    .to_string()
}

fn failures_key(topic: &str, group: &str) -> String {
    FailuresKey {
        topic: topic.to_owned(),
        group: group.to_owned(),
    }
    .to_string()
}

fn letters_key(topic: &str) -> String {
    LettersKey {
        topic: topic.to_owned(),
    }
    .to_string()
}

fn push_ids(command: &mut Cmd, ids: &[MessageId]) {
    for id in ids {
        command.arg(id.to_string());
    }
}

struct PipelineSink<'a>(&'a mut Pipeline);

impl FieldSink for PipelineSink<'_> {
    fn field(&mut self, name: &str, value: &str) {
        self.0.arg(name).arg(value);
    }
}
