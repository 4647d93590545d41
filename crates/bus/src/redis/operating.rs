//! Looking into a Redis server, and deciding on dead letters.

use std::time::Duration;

use async_trait::async_trait;
use common::messages::{DeadLetter, REDRIVEN_FROM};
use common::topics::TopicInfo;
use redis_link::{ServerStatus, Value, cmd};

use super::{RedisServer, failures_key, letters_key, push_ids, reply, scripts, state_key};
use crate::dead_letter::Redriven;
use crate::delivery::StoredMessage;
use crate::error::BusError;
use crate::message_id::MessageId;
use crate::operating::{Operating, PendingMessage};
use crate::streams::RETRYING;

#[async_trait]
impl Operating for RedisServer {
    async fn pending_messages(
        &self,
        topic: &TopicInfo,
        group: &str,
        after: MessageId,
        count: usize,
    ) -> Result<Vec<PendingMessage>, BusError> {
        let mut command = scripts::PENDING.command(2);
        command
            .arg(topic.name)
            .arg(failures_key(topic.name, group))
            .arg(group)
            .arg(after.next().to_string())
            .arg(count);
        let all = self.link.run(&scripts::PENDING, &command).await?;
        reply::array(all)?
            .into_iter()
            .map(pending_message)
            .collect()
    }

    async fn settled_up_to(&self, topic: &TopicInfo, group: &str) -> Result<MessageId, BusError> {
        let mut command = scripts::SETTLED_UP_TO.command(2);
        command
            .arg(topic.name)
            .arg(state_key(topic.name, group))
            .arg(group);
        reply::message_id(self.link.run(&scripts::SETTLED_UP_TO, &command).await?)
    }

    async fn redrive(
        &self,
        topic: &TopicInfo,
        ids: &[MessageId],
    ) -> Result<Vec<Redriven>, BusError> {
        let mut command = scripts::REDRIVE.command(3);
        command
            .arg(topic.dead_letters())
            .arg(topic.name)
            .arg(letters_key(topic.name));
        command
            .arg(REDRIVEN_FROM)
            .arg(DeadLetter::FIELDS.len())
            .arg(DeadLetter::FIELDS);
        push_ids(&mut command, ids);
        let results = self.link.run(&scripts::REDRIVE, &command).await?;
        reply::array(results)?.into_iter().map(redriven).collect()
    }

    async fn discard(&self, topic: &TopicInfo, ids: &[MessageId]) -> Result<Vec<bool>, BusError> {
        let mut command = scripts::DISCARD.command(2);
        command
            .arg(topic.dead_letters())
            .arg(letters_key(topic.name));
        push_ids(&mut command, ids);
        let removed = reply::array(self.link.run(&scripts::DISCARD, &command).await?)?;
        let was_there = |count| Ok(reply::number(count)? == 1);
        removed.into_iter().map(was_there).collect()
    }

    async fn range_back(
        &self,
        stream: &str,
        from: MessageId,
        count: usize,
    ) -> Result<Vec<StoredMessage>, BusError> {
        let mut command = cmd("XREVRANGE");
        command
            .arg(stream)
            .arg(from.to_string())
            .arg("-")
            .arg("COUNT")
            .arg(count);
        reply::messages(self.link.send(&command).await?)
    }

    async fn status(&self) -> Result<ServerStatus, BusError> {
        Ok(ServerStatus::of(&self.link).await?)
    }
}

fn pending_message(reply: Value) -> Result<PendingMessage, BusError> {
    let mut parts = reply::array(reply)?.into_iter();
    let mut next = || parts.next().unwrap_or_default();
    let id = reply::message_id(next())?;
    let consumer = reply::text(next())?;
    let idle = Duration::from_millis(reply::number(next())?);
    let deliveries = u32::try_from(reply::number(next())?).unwrap_or(u32::MAX);
    let failure = reply::lossy_text(next())?;
    let (first, last) = failure.split_once(' ').unzip();
    Ok(PendingMessage {
        id,
        consumer: (consumer != RETRYING).then_some(consumer),
        idle,
        deliveries,
        first_failed_at: first.map(str::to_owned),
        last_failure: last.map(str::to_owned),
    })
}

fn redriven(reply: Value) -> Result<Redriven, BusError> {
    Ok(match reply {
        Value::BulkString(code) if code == b"PART" => Redriven::part(),
        Value::BulkString(code) if code == b"EMPTY" => Redriven::empty(),
        Value::BulkString(code) if code == b"LARGE" => Redriven::too_large(),
        id => reply::optional_message_id(id)?.map_or(Redriven::Unknown, Redriven::As),
    })
}
