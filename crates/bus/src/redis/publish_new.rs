//! Publishing what nobody has claimed, in two steps: one asks, and one transaction appends and
//! claims. A script that does both in one step costs the server half as much again, because Lua
//! passes every text on. The price: two calls that ask at the same moment may both append. The
//! transaction tells which of them was first.

use std::collections::HashSet;

use common::keys::ClaimsKey;
use redis_link::{Link, Pipeline, Replies, Value, cmd, pipe};

use super::{PipelineSink, millis, reply, scripts};
use crate::error::BusError;
use crate::message_id::MessageId;
use crate::once::ClaimWindow;
use crate::server::Encoded;

/// What is known before anything is done.
struct Claims {
    /// The hash in which to claim now.
    key: String,
    /// Milliseconds since 1970.
    expires_at: String,
    /// By the number of its message.
    taken: Vec<bool>,
}

/// `None` for a message whose name was claimed, also by an earlier message of the call.
pub(super) async fn publish_new(
    link: &Link,
    topic: &str,
    messages: &dyn Encoded,
    (names, window): (&[String], ClaimWindow),
) -> Result<Vec<Option<MessageId>>, BusError> {
    let claims = look_up(link, topic, names, window).await?;
    let mut seen = HashSet::new();
    let (numbers, new): (Vec<usize>, Vec<&String>) = (0..)
        .zip(names)
        .zip(&claims.taken)
        .filter(|((_, name), taken)| !**taken && seen.insert(*name))
        .map(|(numbered, _)| numbered)
        .unzip();
    let mut ids = vec![None; names.len()];
    if new.is_empty() {
        return Ok(ids);
    }
    let mut pipeline = pipe();
    pipeline.atomic();
    // Who claimed since the look-up.
    pipeline.cmd("HMGET").arg(&claims.key).arg(&new);
    for number in &numbers {
        pipeline.cmd("XADD").arg(topic).arg("*");
        messages.encode(*number, &mut PipelineSink(&mut pipeline));
    }
    claim(&mut pipeline, &claims, &new, window);
    let replies = link.send_transaction(&pipeline).await?;
    let published = match appended(replies, new.len()) {
        Ok(published) => published,
        Err(error) => {
            // What was refused must not count as published when it is sent again.
            let mut command = cmd("HDEL");
            command.arg(&claims.key).arg(&new);
            link.send(&command).await?;
            return Err(error);
        }
    };
    for (number, id) in numbers.into_iter().zip(published) {
        if let Some(place) = ids.get_mut(number) {
            *place = id;
        }
    }
    Ok(ids)
}

async fn look_up(
    link: &Link,
    topic: &str,
    names: &[String],
    window: ClaimWindow,
) -> Result<Claims, BusError> {
    let window_ms = millis(window.length).max(1);
    let first_window = ClaimsKey {
        window_ms,
        number: 0,
    };
    let mut command = scripts::UNCLAIMED.command(1);
    command
        .arg(topic)
        .arg(window_ms)
        .arg(first_window.to_string());
    command.arg(names);
    let reply = reply::array(link.run(&scripts::UNCLAIMED, &command).await?)?;
    let [key, expires_at, taken] = <[Value; 3]>::try_from(reply)
        .map_err(|reply| reply::unexpected("the look-up of claims", &reply))?;
    Ok(Claims {
        key: reply::text(key)?,
        expires_at: reply::text(expires_at)?,
        taken: reply::text(taken)?
            .bytes()
            .map(|byte| byte == b'1')
            .collect(),
    })
}

fn claim(pipeline: &mut Pipeline, claims: &Claims, names: &[&String], window: ClaimWindow) {
    pipeline.cmd("HSET").arg(&claims.key);
    for name in names {
        pipeline.arg(name).arg(window.claimant);
    }
    pipeline.cmd("PEXPIREAT").arg(&claims.key);
    pipeline.arg(&claims.expires_at);
}

/// The ids of what was appended; `None` where somebody else had claimed since the look-up.
fn appended(replies: Replies, count: usize) -> Result<Vec<Option<MessageId>>, BusError> {
    let mut replies = replies.into_iter();
    let holders = reply::array(replies.next().transpose()?.unwrap_or_default())?;
    let mut ids = Vec::with_capacity(count);
    for (holder, id) in holders.into_iter().zip(replies.by_ref().take(count)) {
        let id = reply::message_id(id?)?;
        ids.push((holder == Value::Nil).then_some(id));
    }
    replies.try_for_each(|reply| reply.map(drop))?;
    Ok(ids)
}
