//! Publishing what nobody has claimed, in two steps: one asks, and one transaction appends and
//! claims. A script that does both in one step costs the server half as much again, because Lua
//! passes every text on. The price: two calls that ask at the same moment may both append. A claim is
//! never written over, whoever made it meanwhile, so it tells which of them was first, and a reader
//! that claims what it passes on lets one through. A command that fails in a transaction does not stop
//! the others, so what claims there looks first whether the stream has taken the messages.

use std::collections::HashSet;

use common::keys::ClaimsKey;
use redis_link::{Link, Replies, Value, pipe};

use super::{PipelineSink, millis, reply, scripts};
use crate::error::BusError;
use crate::message_id::MessageId;
use crate::once::ClaimWindow;
use crate::server::Encoded;

/// Sent as text: a server that has forgotten a script would append and not claim.
const CLAIM_APPENDED: &str = include_str!("lua/claim_appended.lua");

/// What is known before anything is done.
pub(crate) struct Claims {
    /// The hash in which to claim now.
    key: String,
    /// Milliseconds since 1970.
    expires_at: String,
    /// By the number of its message.
    taken: Vec<bool>,
}

impl Claims {
    /// The numbers of those of the names that nobody has claimed, the first of each.
    pub(crate) fn unclaimed(&self, names: &[String]) -> Vec<usize> {
        let mut seen = HashSet::new();
        (0..)
            .zip(names)
            .zip(&self.taken)
            .filter(|((_, name), taken)| !**taken && seen.insert(*name))
            .map(|((number, _), _)| number)
            .collect()
    }

    /// Claims names; gives of each whether nobody had claimed it since the look-up.
    pub(crate) async fn claim(
        &self,
        link: &Link,
        names: &[&String],
        claimant: &str,
    ) -> Result<Vec<bool>, BusError> {
        let mut pipeline = pipe();
        for name in names {
            pipeline
                .cmd("HSETNX")
                .arg(&self.key)
                .arg(name)
                .arg(claimant);
        }
        pipeline
            .cmd("PEXPIREAT")
            .arg(&self.key)
            .arg(&self.expires_at);
        let mut replies = link.send_all(&pipeline).await?.into_iter();
        let mut first = Vec::with_capacity(names.len());
        for _ in names {
            let reply = replies.next().transpose()?.unwrap_or_default();
            first.push(reply::number(reply)? == 1);
        }
        replies.try_for_each(|reply| reply.map(drop))?;
        Ok(first)
    }
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
    for number in &numbers {
        pipeline.cmd("XADD").arg(topic).arg("*");
        messages.encode(*number, &mut PipelineSink(&mut pipeline));
    }
    pipeline.cmd("EVAL").arg(CLAIM_APPENDED).arg(2);
    pipeline.arg(topic).arg(&claims.key).arg(&claims.expires_at);
    pipeline.arg(window.claimant).arg(&new);
    let outcomes = outcomes(link.send_transaction(&pipeline).await?, new.len())?;
    for (number, outcome) in numbers.into_iter().zip(outcomes) {
        if let Some(place) = ids.get_mut(number) {
            *place = outcome;
        }
    }
    Ok(ids)
}

/// The id of each message; `None` where somebody had claimed its name since the look-up.
fn outcomes(replies: Replies, messages: usize) -> Result<Vec<Option<MessageId>>, BusError> {
    let mut replies = replies.into_iter();
    let mut ids = Vec::with_capacity(messages);
    for id in replies.by_ref().take(messages) {
        ids.push(reply::message_id(id?)?);
    }
    let is_first = reply::text(replies.next().transpose()?.unwrap_or_default())?;
    // A message without an outcome must not count as one that was published before.
    if ids.len() < messages || is_first.len() < messages {
        return Err(reply::unexpected("a transaction", &[]));
    }
    let outcomes = ids.into_iter().zip(is_first.bytes());
    Ok(outcomes
        .map(|(id, is_first)| (is_first == b'1').then_some(id))
        .collect())
}

/// Which names are claimed. The topic is asked for, too, where it is a stream of the same server.
pub(crate) async fn look_up(
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
