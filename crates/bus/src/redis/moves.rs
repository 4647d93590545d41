//! What Redis knows of topics that are moved away from it.

use std::time::Duration;

use common::keys::{MovedKey, MovingStreamKey};
use common::topics::TopicInfo;
use redis_link::{Link, Value, cmd, pipe};

use super::{millis, reply, scripts, state_key};
use crate::delivery::StoredMessage;
use crate::error::BusError;
use crate::message_id::MessageId;
use crate::moves::{LeftBehind, Move, MoveState, Received};

/// How long a stream that went over is kept.
const KEPT: Duration = Duration::from_hours(30 * 24);

/// Topics that leave a Redis server.
#[derive(Debug, Clone)]
pub(crate) struct RedisMoves {
    link: Link,
}

/// A part of what a group has not settled.
#[derive(Debug)]
pub(crate) struct Page {
    pub(crate) messages: Vec<LeftBehind>,
    /// Up to where was looked; `None` when there was nothing more.
    pub(crate) up_to: Option<MessageId>,
}

impl RedisMoves {
    pub(crate) fn new(link: Link) -> Self {
        Self { link }
    }

    /// How far the move of a topic has come; `None` if it was never moved.
    pub(crate) async fn of(&self, topic: &str) -> Result<Option<Move>, BusError> {
        let fields = [
            "state",
            "since",
            "published",
            "letters",
            "copied",
            "copied_letters",
        ];
        let mut command = cmd("HMGET");
        command.arg(moved_key(topic)).arg(&fields);
        let mut values = reply::array(self.link.send(&command).await?)?.into_iter();
        let mut next = || match values.next().unwrap_or_default() {
            Value::Nil => Ok(String::new()),
            text => reply::lossy_text(text),
        };
        let state = match next()?.as_str() {
            "" => return Ok(None),
            "done" => MoveState::Done,
            _ => MoveState::Copying,
        };
        let since = next()?;
        let mut number = || Ok::<u64, BusError>(next()?.parse().unwrap_or_default());
        Ok(Some(Move {
            state,
            since,
            published: number()?,
            letters: number()?,
            went_over: [number()?, number()?],
        }))
    }

    /// Whether a stream of that name holds messages.
    pub(crate) async fn is_stream(&self, name: &str) -> Result<bool, BusError> {
        let kind = self.link.send(cmd("TYPE").arg(name)).await?;
        Ok(reply::text(kind)? == "stream")
    }

    /// Puts a topic and its dead letters aside, see `put_aside.lua`; gives whether there was
    /// something to put aside. `went_over` is what went over in earlier moves.
    pub(crate) async fn put_aside(
        &self,
        topic: &TopicInfo,
        went_over: [Received; 2],
    ) -> Result<bool, BusError> {
        let letters = topic.dead_letters();
        let mut command = scripts::PUT_ASIDE.command(5);
        command.arg(topic.name).arg(&letters);
        command.arg(aside(topic.name)).arg(aside(&letters));
        command.arg(moved_key(topic.name));
        for received in went_over {
            command.arg(received.count);
        }
        command.arg(topic.groups);
        let moved = self.link.run(&scripts::PUT_ASIDE, &command).await?;
        Ok(reply::number(moved)? == 1)
    }

    /// What was not settled of a stream that is put aside, after an id, in order.
    pub(crate) async fn left_behind(
        &self,
        stream: &str,
        group: Option<&str>,
        (after, count): (MessageId, usize),
    ) -> Result<Page, BusError> {
        let mut command = scripts::UNSETTLED.command(2);
        command
            .arg(aside(stream))
            .arg(state_key(stream, group.unwrap_or_default()));
        command.arg(group.unwrap_or_default());
        command.arg(after.to_string()).arg(count);
        let mut parts =
            reply::array(self.link.run(&scripts::UNSETTLED, &command).await?)?.into_iter();
        let up_to = reply::optional_message_id(parts.next().unwrap_or_default())?;
        let messages = reply::array(parts.next().unwrap_or_default())?;
        let messages = messages.into_iter().map(left_behind);
        Ok(Page {
            messages: messages.collect::<Result<_, _>>()?,
            up_to,
        })
    }

    /// Records that everything went over.
    pub(crate) async fn done(
        &self,
        topic: &TopicInfo,
        went_over: [Received; 2],
    ) -> Result<(), BusError> {
        let [messages, letters] = went_over;
        let mut pipeline = pipe();
        pipeline.atomic();
        pipeline.cmd("HSET").arg(moved_key(topic.name));
        pipeline.arg("state").arg("done");
        pipeline.arg("copied").arg(messages.count);
        pipeline.arg("copied_letters").arg(letters.count);
        for stream in [topic.name, &topic.dead_letters()] {
            pipeline.cmd("PEXPIRE").arg(aside(stream)).arg(millis(KEPT));
        }
        let replies = self.link.send_transaction(&pipeline).await?;
        replies.into_iter().try_for_each(|reply| reply.map(drop))?;
        Ok(())
    }
}

fn left_behind(reply: Value) -> Result<LeftBehind, BusError> {
    let mut parts = reply::array(reply)?.into_iter();
    let repeat = reply::number(parts.next().unwrap_or_default())? == 1;
    let entry = Value::Array(vec![parts.next().unwrap_or_default()]);
    let message: Option<StoredMessage> = reply::messages(entry)?.pop();
    let message = message.ok_or_else(|| reply::unexpected("what is left behind", &[]))?;
    Ok(LeftBehind { message, repeat })
}

fn moved_key(topic: &str) -> String {
    MovedKey {
        topic: topic.to_owned(),
    }
    .to_string()
}

fn aside(stream: &str) -> String {
    MovingStreamKey {
        stream: stream.to_owned(),
    }
    .to_string()
}
