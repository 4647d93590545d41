//! Claims. Kafka cannot look anything up, so they are remembered in Redis, where those of the bus on
//! Redis are. The two servers have no step in common: a claim notes what it was made for, and what is
//! repeated after a crash between the two is told from what somebody else wants.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use redis_link::{Cmd, Link};
use uuid::Uuid;

use super::client::{Core, blocking, down};
use super::looker::{LOOKER, Visit};
use super::publish::publish;
use super::record::{Record, header};
use crate::error::BusError;
use crate::message_id::MessageId;
use crate::once::{ClaimWindow, Once};
use crate::redis::claims::{ClaimKinds, kind_of};
use crate::redis::publish_new::look_up;
use crate::redis::{reply, scripts};
use crate::settlement::Output;

/// The header that tells for which claim a record was published.
const ONCE: &str = "millrace_once";
/// How much earlier than its claim a record may seem to be: the clocks of two servers differ.
const SKEW_MS: u64 = 60_000;

/// Appends what nobody has claimed, and claims it then: of two calls at the same moment both may
/// append, and only one is told so.
pub(super) async fn publish_new(
    core: &Arc<Core>,
    topic: &str,
    records: &[Record],
    (names, window): (&[String], ClaimWindow),
) -> Result<Vec<Option<MessageId>>, BusError> {
    let mut ids = vec![None; names.len()];
    if names.is_empty() {
        return Ok(ids);
    }
    let claims = look_up(&core.claims, topic, names, window).await?;
    let numbers = claims.unclaimed(names);
    let new: Vec<Record> = numbers
        .iter()
        .filter_map(|number| records.get(*number).cloned())
        .collect();
    if new.is_empty() {
        return Ok(ids);
    }
    let mut failure = None;
    let mut appended = Vec::with_capacity(new.len());
    for (number, result) in numbers.into_iter().zip(publish(core, topic, &new).await?) {
        match result {
            Ok(id) => appended.push((number, id)),
            Err(error) => failure = Some(error),
        }
    }
    let claimed: Vec<&String> = appended
        .iter()
        .filter_map(|(number, _)| names.get(*number))
        .collect();
    let first = claims
        .claim(&core.claims, &claimed, window.claimant)
        .await?;
    for ((number, id), is_first) in appended.into_iter().zip(first) {
        if let Some(place) = ids.get_mut(number) {
            *place = is_first.then_some(id);
        }
    }
    failure.map_or(Ok(ids), Err)
}

/// What became of a claim.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Answer {
    Granted,
    Refused,
    /// It was made for something of which nobody knows whether it was published, so long ago.
    Unknown(Duration, String),
}

/// Appends each record whose claim succeeds.
pub(super) async fn publish_once(
    core: &Arc<Core>,
    topic: &str,
    records: &[Record],
    claims: &[Once],
) -> Result<Vec<Option<MessageId>>, BusError> {
    let mut ids = vec![None; claims.len()];
    if claims.is_empty() {
        return Ok(ids);
    }
    let call = Uuid::new_v4().simple().to_string();
    let causes: Vec<String> = (0..claims.len()).map(|n| format!("{call}.{n}")).collect();
    let asked: Vec<(&Once, String)> = claims
        .iter()
        .zip(&causes)
        .map(|(once, cause)| (once, format!("?{cause}")))
        .collect();
    let mut answers = claim(&core.claims, &asked).await?;
    let own = |answer: &Answer| matches!(answer, Answer::Unknown(_, c) if causes.contains(c));
    for answer in answers.iter_mut().filter(|answer| own(answer)) {
        // The same name came before in this very call.
        *answer = Answer::Refused;
    }
    let unknown: Vec<(&Once, &Answer)> = claims
        .iter()
        .zip(&answers)
        .filter(|(_, answer)| matches!(answer, Answer::Unknown(..)))
        .collect();
    let granted = || {
        let all = (0..claims.len())
            .zip(claims.iter().zip(&causes))
            .zip(&answers);
        all.filter(|(_, answer)| **answer == Answer::Granted)
            .map(|((number, claim), _)| (number, claim))
    };
    if !unknown.is_empty() {
        let given_up: Vec<_> = granted()
            .map(|(_, (once, c))| (once, c.as_str(), false))
            .collect();
        resolve(&core.claims, &given_up).await?;
        settle_unknown(core, topic, &unknown).await?;
        return Box::pin(publish_once(core, topic, records, claims)).await;
    }
    let sent: Vec<Record> = granted()
        .filter_map(|(number, (_, cause))| {
            let mut record = records.get(number)?.clone();
            record.headers.push((ONCE, cause.clone().into_bytes()));
            Some(record)
        })
        .collect();
    let results = publish(core, topic, &sent).await?;
    let mut outcomes = Vec::with_capacity(results.len());
    let mut failure = None;
    for ((number, (once, cause)), result) in granted().zip(results) {
        match result {
            Ok(id) => {
                outcomes.push((once, cause.as_str(), true));
                if let Some(place) = ids.get_mut(number) {
                    *place = Some(id);
                }
            }
            // Nobody knows: a repeat finds out.
            Err(error) if error.is_unavailable() => failure = Some(error),
            Err(error) => {
                outcomes.push((once, cause.as_str(), false));
                failure = Some(error);
            }
        }
    }
    resolve(&core.claims, &outcomes).await?;
    failure.map_or(Ok(ids), Err)
}

/// Which outputs may be published: those without a claim, and those whose claim succeeds. A claim
/// that was made for the same cause before succeeds again: its transaction did not come about.
pub(super) async fn grant(core: &Core, outputs: &[Output]) -> Result<Vec<bool>, BusError> {
    let asked: Vec<(&Once, String)> = outputs
        .iter()
        .filter_map(|output| Some((output.once.as_ref()?, output.cause.to_string())))
        .collect();
    if asked.is_empty() {
        return Ok(vec![true; outputs.len()]);
    }
    let mut answers = claim(&core.claims, &asked).await?.into_iter();
    let mut granted = Vec::with_capacity(outputs.len());
    for output in outputs {
        granted.push(match output.once {
            None => true,
            Some(_) => match answers.next().unwrap_or(Answer::Refused) {
                Answer::Granted => true,
                Answer::Refused => false,
                Answer::Unknown(..) => return Err(under_way()),
            },
        });
    }
    Ok(granted)
}

fn under_way() -> BusError {
    down(&"the name is claimed for a message that may be under way")
}

async fn claim(link: &Link, asked: &[(&Once, String)]) -> Result<Vec<Answer>, BusError> {
    let kinds = ClaimKinds::of(asked.iter().map(|(once, _)| kind_of(once)));
    let mut command = scripts::CLAIM_FOR.command(0);
    kinds.write(&mut command);
    for (once, cause) in asked {
        kinds.write_claim(&mut command, Some(once));
        command.arg(cause);
    }
    let answers = reply::array(link.run(&scripts::CLAIM_FOR, &command).await?)?;
    let answer = |value| {
        let text = reply::text(value)?;
        Ok(match (text.as_str(), text.split_once(' ')) {
            (_, Some((age_ms, cause))) => {
                let age = Duration::from_millis(age_ms.parse().unwrap_or(0));
                Answer::Unknown(age, cause.to_owned())
            }
            ("1", None) => Answer::Granted,
            (_, None) => Answer::Refused,
        })
    };
    answers.into_iter().map(answer).collect()
}

/// Says of claims what became of what they were made for.
async fn resolve(link: &Link, outcomes: &[(&Once, &str, bool)]) -> Result<(), BusError> {
    if outcomes.is_empty() {
        return Ok(());
    }
    let kinds = ClaimKinds::of(outcomes.iter().map(|(once, ..)| kind_of(once)));
    let mut command: Cmd = scripts::RESOLVE_CLAIMS.command(0);
    kinds.write(&mut command);
    for (once, cause, published) in outcomes {
        kinds.write_claim(&mut command, Some(once));
        command.arg(*cause).arg(u8::from(*published));
    }
    link.run(&scripts::RESOLVE_CLAIMS, &command).await?;
    Ok(())
}

/// Finds out what became of messages whose publisher has not said so: they are in the topic, or they
/// never will be, once whoever sent them has given up.
async fn settle_unknown(
    core: &Arc<Core>,
    topic: &str,
    unknown: &[(&Once, &Answer)],
) -> Result<(), BusError> {
    let given_up = core.settings.timeout() * 2;
    let mut causes = HashSet::new();
    let mut oldest = Duration::ZERO;
    for (_, answer) in unknown {
        if let Answer::Unknown(age, cause) = answer {
            if *age < given_up {
                return Err(under_way());
            }
            oldest = oldest.max(*age);
            causes.insert(cause.clone());
        }
    }
    let name = topic.to_owned();
    let found = blocking(core, move |core| published(core, &name, &causes, oldest)).await?;
    let outcomes: Vec<(&Once, &str, bool)> = unknown
        .iter()
        .filter_map(|(once, answer)| match answer {
            Answer::Unknown(_, cause) => Some((*once, cause.as_str(), found.contains(cause))),
            Answer::Granted | Answer::Refused => None,
        })
        .collect();
    resolve(&core.claims, &outcomes).await
}

/// Those of the causes for which a record is in the topic, which is no older. Blocks.
fn published(
    core: &Core,
    topic: &str,
    causes: &HashSet<String>,
    age: Duration,
) -> Result<HashSet<String>, BusError> {
    let mut found = HashSet::new();
    let Some(partitions) = core.partitions(topic)? else {
        return Ok(found);
    };
    let now = u64::try_from(super::client::now_ms()).unwrap_or(0);
    let age_ms = u64::try_from(age.as_millis()).unwrap_or(u64::MAX);
    let since = now.saturating_sub(age_ms).saturating_sub(SKEW_MS);
    let (looker, name) = (core.looker(LOOKER)?, core.settings.topic_name(topic));
    let spans = looker.spans(&name, partitions)?;
    let spans = looker.offsets_from(&name, &spans, since)?;
    looker.scan(&name, &spans, |record| {
        let cause = header(rdkafka::Message::headers(record), ONCE);
        let cause = cause.and_then(|cause| std::str::from_utf8(cause).ok());
        if let Some(cause) = cause.filter(|cause| causes.contains(*cause)) {
            found.insert(cause.to_owned());
        }
        Visit::On
    })?;
    Ok(found)
}
