//! Settling: each message in one script with all that belongs to it.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use common::topics::DEAD_LETTER_SUFFIX;
use crash_points::{CrashPoint, reached};
use redis_link::{Cmd, Link};

use super::{Texts, failures_key, push_claim, push_ids, reply, scripts, state_key};
use crate::error::BusError;
use crate::message_id::MessageId;
use crate::server::{Membership, RETRYING};
use crate::settlement::{Output, Settled, Settlement, Verdict};

/// The most messages in one call: Lua cannot unpack much more than 7,000 values.
const CHUNK: usize = 500;
/// How long dead letters are kept.
const DEAD_LETTER_RETENTION: Duration = Duration::from_hours(30 * 24);

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
    let mut command = scripts::FINISH.command(3);
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
    let mut keys = Keys::default();
    for output in caused() {
        keys.index(output.topic);
        if let Some(once) = &output.once {
            keys.index(&once.key);
        }
    }
    let mut command = scripts::FINISH_WITH_OUTPUTS.command(3 + keys.names.len());
    push_group_keys(&mut command, member);
    command.arg(&keys.names).arg(member.group);
    for id in ids {
        let outputs = outputs.get(id).map_or(&[][..], Vec::as_slice);
        command.arg(id.to_string()).arg(outputs.len());
        for output in outputs {
            let claim = output.once.as_ref().map_or(0, |once| keys.index(&once.key));
            command.arg(keys.index(output.topic)).arg(claim);
            push_claim(&mut command, output.once.as_ref());
            let texts = Texts::of(&output.fields);
            command.arg(texts.0.len()).arg(&texts.0);
        }
    }
    let mut counts = reply::array(link.run(&scripts::FINISH_WITH_OUTPUTS, &command).await?)?
        .into_iter()
        .map(reply::number);
    let done = counts.next().transpose()?.unwrap_or_default();
    let published = counts.next().transpose()?.unwrap_or_default();
    Ok((done, published))
}

/// The keys of a script, each once, numbered as Lua numbers them after the group's three.
#[derive(Default)]
struct Keys {
    names: Vec<String>,
    indexes: BTreeMap<String, usize>,
}

impl Keys {
    fn index(&mut self, name: &str) -> usize {
        if let Some(index) = self.indexes.get(name) {
            return *index;
        }
        self.names.push(name.to_owned());
        let index = 3 + self.names.len();
        self.indexes.insert(name.to_owned(), index);
        index
    }
}

async fn retry(link: &Link, member: &Membership, all: &[Verdict]) -> Result<u64, BusError> {
    let mut command = scripts::RETRY.command(3);
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
    let mut command = scripts::DEAD.command(4);
    push_group_keys(&mut command, member);
    command.arg(format!("{}{DEAD_LETTER_SUFFIX}", member.topic));
    command
        .arg(member.group)
        .arg(&member.consumer)
        .arg(super::millis(DEAD_LETTER_RETENTION));
    for verdict in all {
        command
            .arg(verdict.id.to_string())
            .arg(&verdict.reason)
            .arg(&verdict.error);
    }
    reply::number(link.run(&scripts::DEAD, &command).await?)
}
