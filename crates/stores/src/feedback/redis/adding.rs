//! Adding items: the elements are made here, and one script puts those of many agents in place.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use common::keys::{FeedbackBatchesIndexKey, FeedbackUrgentKey};
use common::{AgentId, Unavailable};
use crash_points::{CrashPoint, reached};
use redis_link::{Cmd, Link, LinkError, Value, pipe};

use super::scripts::ADD;
use super::{RedisBatchOptions, keys, reply};
use crate::error::StoreError;
use crate::feedback::batches::{Added, RefusedAgent};
use crate::feedback::elements::{self, Encoded};
use crate::feedback::item::{FeedbackItem, by_agent};

/// Elements in one call: Lua can put some 7,000 values on its stack.
const ELEMENTS_MAX: usize = 1_000;
/// Bytes in one call, unless a single element has more: the server does nothing else meanwhile.
const BYTES_MAX: usize = 8 << 20;

/// What one agent gets in one call.
struct Portion<'a> {
    agent: &'a AgentId,
    is_urgent: bool,
    elements: Vec<Encoded>,
}

pub(super) async fn add(
    link: &Link,
    items: &[FeedbackItem],
    options: &RedisBatchOptions,
) -> Result<Added, StoreError> {
    let mut outcomes = Outcomes::default();
    let mut call = Call::default();
    for (agent, items) in by_agent(items) {
        let is_urgent = items.iter().any(|item| item.urgent);
        let elements = match elements::encode(&items, options.plain_bytes_max) {
            Ok(elements) => elements,
            Err(error) => {
                outcomes.refuse(agent, error.to_string());
                continue;
            }
        };
        for portion in portions(agent, is_urgent, elements) {
            if !call.has_room_for(&portion) {
                std::mem::take(&mut call)
                    .send(link, options, &mut outcomes)
                    .await?;
            }
            call.push(portion);
        }
    }
    call.send(link, options, &mut outcomes).await?;
    Ok(outcomes.added)
}

/// Cuts the elements of an agent into what one call can carry. Two of them never fit into the same
/// call, so an agent is in it once.
fn portions(agent: &AgentId, is_urgent: bool, elements: Vec<Encoded>) -> Vec<Portion<'_>> {
    let mut portions: Vec<Portion<'_>> = Vec::new();
    let mut bytes = 0;
    for element in elements {
        bytes += element.bytes.len();
        let last = portions.last_mut();
        let has_room =
            |last: &&mut Portion<'_>| last.elements.len() < ELEMENTS_MAX && bytes <= BYTES_MAX;
        if let Some(last) = last.filter(has_room) {
            last.elements.push(element);
            continue;
        }
        bytes = element.bytes.len();
        portions.push(Portion {
            agent,
            is_urgent,
            elements: vec![element],
        });
    }
    portions
}

/// What goes to the server together.
#[derive(Default)]
struct Call<'a> {
    portions: Vec<Portion<'a>>,
    elements: usize,
    bytes: usize,
}

impl Portion<'_> {
    fn bytes(&self) -> usize {
        self.elements
            .iter()
            .map(|element| element.bytes.len())
            .sum()
    }

    fn items(&self) -> usize {
        self.elements.iter().map(|element| element.items).sum()
    }
}

impl<'a> Call<'a> {
    fn has_room_for(&self, portion: &Portion<'_>) -> bool {
        self.portions.is_empty()
            || (self.elements + portion.elements.len() <= ELEMENTS_MAX
                && self.bytes + portion.bytes() <= BYTES_MAX)
    }

    fn push(&mut self, portion: Portion<'a>) {
        self.elements += portion.elements.len();
        self.bytes += portion.bytes();
        self.portions.push(portion);
    }

    fn command(&self) -> Cmd {
        let mut command = ADD.command(2 + 2 * self.portions.len());
        command
            .arg(FeedbackBatchesIndexKey.to_string())
            .arg(FeedbackUrgentKey.to_string());
        for portion in &self.portions {
            command
                .arg(keys::batch(portion.agent))
                .arg(keys::meta(portion.agent));
        }
        command.arg(self.numbers());
        for portion in &self.portions {
            command.arg(portion.agent.as_str());
            for element in &portion.elements {
                command.arg(element.bytes.as_slice());
            }
        }
        command
    }

    /// A `MessagePack` array: of each portion its items, whether it is urgent, and its elements.
    fn numbers(&self) -> Vec<u8> {
        const ARRAY_32: u8 = 0xdd;
        const UINT_32: u8 = 0xce;
        let length = |count: usize| u32::try_from(count).unwrap_or(u32::MAX).to_be_bytes();
        let mut packed = vec![ARRAY_32];
        packed.extend(length(3 * self.portions.len()));
        for portion in &self.portions {
            let is_urgent = usize::from(portion.is_urgent);
            for number in [portion.items(), is_urgent, portion.elements.len()] {
                packed.push(UINT_32);
                packed.extend(length(number));
            }
        }
        packed
    }

    async fn send(
        self,
        link: &Link,
        options: &RedisBatchOptions,
        outcomes: &mut Outcomes<'a>,
    ) -> Result<(), StoreError> {
        if self.portions.is_empty() {
            return Ok(());
        }
        let command = self.command();
        let answer = match options.replicas {
            0 => link.run(&ADD, &command).await.map_err(StoreError::from),
            _ => add_replicated(link, &command, options).await,
        };
        let answer = answer.map_err(not_by_an_item)?;
        reached(CrashPoint::StoresFeedbackAdded);
        let answers = reply::array(answer)?;
        if answers.len() != self.portions.len() {
            return Err(reply::wrong(
                "an answer for each agent",
                &Value::Array(answers),
            ));
        }
        for (portion, answer) in self.portions.iter().zip(answers) {
            match answer {
                Value::Int(_) => outcomes.add(portion.agent, reply::number(answer)?),
                why => outcomes.refuse(portion.agent, reply::text(why)?),
            }
        }
        Ok(())
    }
}

/// An agent's own keys are looked at one by one, so this is about the keys that all share: somebody
/// wrote something else there, and no item is to blame.
fn not_by_an_item(error: StoreError) -> StoreError {
    match error {
        StoreError::Redis(refused) if refused.code() == Some("WRONGTYPE") => {
            Unavailable::new("redis", refused).into()
        }
        other => other,
    }
}

/// Runs the script and waits until the replicas have what it wrote. Both go over one connection:
/// another one has written nothing, and would wait for nothing.
async fn add_replicated(
    link: &Link,
    command: &Cmd,
    options: &RedisBatchOptions,
) -> Result<Value, StoreError> {
    let mut pipeline = pipe();
    pipeline.add_command(command.clone());
    pipeline.cmd("WAIT").arg(options.replicas);
    // For Redis 0 is for ever.
    pipeline.arg(options.replicas_wait.as_millis().max(1).to_string());
    let mut replies = link.send_all(&pipeline).await?;
    if is_unknown_script(replies.first()) {
        link.load(&ADD).await?;
        replies = link.send_all(&pipeline).await?;
    }
    let mut replies = replies.into_iter();
    let mut next = || replies.next().unwrap_or(Ok(Value::Nil));
    let (answer, reached) = (next()?, reply::number(next()?)?);
    if reached < u64::from(options.replicas) {
        let wanted = options.replicas;
        let detail = format!("{reached} of {wanted} replicas have the feedback items");
        return Err(Unavailable::new("redis", detail).into());
    }
    Ok(answer)
}

fn is_unknown_script(first: Option<&Result<Value, LinkError>>) -> bool {
    matches!(first, Some(Err(error)) if error.code() == Some("NOSCRIPT"))
}

/// What became of each agent, in order.
#[derive(Default)]
struct Outcomes<'a> {
    added: Added,
    places: HashMap<&'a AgentId, usize>,
}

impl<'a> Outcomes<'a> {
    fn add(&mut self, agent: &'a AgentId, waiting: u64) {
        let next = self.added.waiting.len();
        match self.places.entry(agent) {
            Entry::Vacant(entry) => {
                entry.insert(next);
                self.added.waiting.push((agent.clone(), waiting));
            }
            // It had more than one call can carry.
            Entry::Occupied(entry) => {
                if let Some(known) = self.added.waiting.get_mut(*entry.get()) {
                    known.1 = waiting;
                }
            }
        }
    }

    fn refuse(&mut self, agent: &'a AgentId, why: String) {
        let agent_id = agent.clone();
        self.added.refused.push(RefusedAgent { agent_id, why });
    }
}
