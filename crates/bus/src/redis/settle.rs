//! Settling: each message in one script with all that belongs to it.

use std::collections::HashMap;

use common::topics::DEAD_LETTER_SUFFIX;
use crash_points::{CrashPoint, reached};
use redis_link::{Cmd, Link};

use super::claims::{ClaimKinds, Texts, kind_of};
use super::{failures_key, letters_key, push_ids, reply, scripts, state_key};
use crate::dead_letter::RETENTION;
use crate::error::BusError;
use crate::message_id::MessageId;
use crate::server::Membership;
use crate::settlement::{Output, Settled, Settlement, Verdict};
use crate::streams::RETRYING;

/// The most messages in one call: Lua cannot unpack much more than 7,000 values.
const CHUNK: usize = 500;
/// The keys that [`push_group_keys`] writes.
const GROUP_KEYS: usize = 3;

pub(super) async fn settle(
    link: &Link,
    member: &Membership,
    all: &Settlement,
) -> Result<Settled, BusError> {
    let mut settled = Settled::default();
    reached(CrashPoint::BusSettleSending);
    if all.outputs.is_empty() {
        for (number, ids) in all.done.chunks(CHUNK).enumerate() {
            passed_chunks(number);
            settled.done += finish(link, member, ids).await?;
        }
    } else {
        let outputs = by_cause(&all.outputs);
        for (number, ids) in all.done.chunks(CHUNK).enumerate() {
            passed_chunks(number);
            let (done, published) = finish_with_outputs(link, member, ids, &outputs).await?;
            settled.done += done;
            settled.published += published;
        }
    }
    for verdicts in all.retry.chunks(CHUNK) {
        settled.retried += retry(link, member, verdicts).await?;
    }
    for verdicts in all.dead.chunks(CHUNK) {
        settled.dead += bury(link, member, verdicts).await?;
    }
    reached(CrashPoint::BusSettleSent);
    Ok(settled)
}

fn passed_chunks(number: usize) {
    if number > 0 {
        reached(CrashPoint::BusSettleBetween);
    }
}

fn by_cause(outputs: &[Output]) -> HashMap<MessageId, Vec<&Output>> {
    let mut by_cause: HashMap<MessageId, Vec<&Output>> = HashMap::new();
    for output in outputs {
        by_cause.entry(output.cause).or_default().push(output);
    }
    by_cause
}

fn push_group_keys(command: &mut Cmd, member: &Membership) {
    command.arg(member.topic);
    command.arg(state_key(member.topic, member.group));
    command.arg(failures_key(member.topic, member.group));
}

async fn finish(link: &Link, member: &Membership, ids: &[MessageId]) -> Result<u64, BusError> {
    let mut command = scripts::FINISH.command(GROUP_KEYS);
    push_group_keys(&mut command, member);
    command.arg(member.group);
    push_ids(&mut command, ids);
    reply::number(link.run(&scripts::FINISH, &command).await?)
}

async fn finish_with_outputs(
    link: &Link,
    member: &Membership,
    ids: &[MessageId],
    outputs: &HashMap<MessageId, Vec<&Output>>,
) -> Result<(u64, u64), BusError> {
    let caused = || ids.iter().filter_map(|id| outputs.get(id)).flatten();
    let mut streams: Vec<&str> = Vec::new();
    for output in caused() {
        if !streams.contains(&output.topic) {
            streams.push(output.topic);
        }
    }
    let kinds = ClaimKinds::of(
        caused()
            .filter_map(|output| output.once.as_ref())
            .map(kind_of),
    );
    let mut command = scripts::FINISH_WITH_OUTPUTS.command(GROUP_KEYS + streams.len());
    push_group_keys(&mut command, member);
    command.arg(&streams).arg(member.group);
    kinds.write(&mut command);
    let mut texts = Texts::default();
    for id in ids {
        let outputs = outputs.get(id).map_or(&[][..], Vec::as_slice);
        command.arg(id.to_string()).arg(outputs.len());
        for output in outputs {
            let before = streams.iter().take_while(|name| **name != output.topic);
            command.arg(GROUP_KEYS + before.count() + 1);
            kinds.write_claim(&mut command, output.once.as_ref());
            for (name, value) in &output.fields.0 {
                texts.push(name);
                texts.push(value);
            }
            texts.write(&mut command);
        }
    }
    let mut counts = reply::array(link.run(&scripts::FINISH_WITH_OUTPUTS, &command).await?)?
        .into_iter()
        .map(reply::number);
    let done = counts.next().transpose()?.unwrap_or_default();
    let published = counts.next().transpose()?.unwrap_or_default();
    Ok((done, published))
}

async fn retry(link: &Link, member: &Membership, all: &[Verdict]) -> Result<u64, BusError> {
    let mut command = scripts::RETRY.command(GROUP_KEYS);
    push_group_keys(&mut command, member);
    command
        .arg(member.group)
        .arg(&member.consumer)
        .arg(RETRYING);
    for verdict in all {
        command
            .arg(verdict.id.to_string())
            .arg(format!("{}: {}", verdict.reason, verdict.error));
    }
    reply::number(link.run(&scripts::RETRY, &command).await?)
}

async fn bury(link: &Link, member: &Membership, all: &[Verdict]) -> Result<u64, BusError> {
    let mut command = scripts::DEAD.command(GROUP_KEYS + 2);
    push_group_keys(&mut command, member);
    command.arg(format!("{}{DEAD_LETTER_SUFFIX}", member.topic));
    command.arg(letters_key(member.topic));
    command
        .arg(member.group)
        .arg(&member.consumer)
        .arg(super::millis(RETENTION));
    for verdict in all {
        command
            .arg(verdict.id.to_string())
            .arg(&verdict.reason)
            .arg(&verdict.error);
    }
    reply::number(link.run(&scripts::DEAD, &command).await?)
}
