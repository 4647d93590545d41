//! Settling messages whose outputs may go to topics of the other server.
//!
//! That cannot be one step. The outputs are published there first, each under a claim made of its
//! cause and its number, then the messages are settled: cut off in between, the messages come again,
//! and what was published before is not published again. An output with a claim of its own is
//! published under that. A message that is no longer open publishes nothing, as of the moment before.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use common::RawFields;
use common::keys::OutputKey;
use common::topics::TopicInfo;

use super::{Routed, is_put_aside, moving};
use crate::bus::publish_fields_once;
use crate::consumer::{Consumer, Settling};
use crate::error::BusError;
use crate::message_id::MessageId;
use crate::metrics;
use crate::once::{Once, OnceRule};
use crate::server::Server;
use crate::settlement::{Output, Settled, Settlement};

/// How long it is remembered that an output was published. A message whose settlement was cut off
/// comes again after its lease.
const WINDOW: Duration = Duration::from_hours(24);
/// Pending messages that are looked at in one call.
const PAGE: usize = 1_000;

/// A member of a group, on whichever server its topic lives now.
pub(super) struct RoutedSettling {
    router: Arc<Routed>,
    topic: TopicInfo,
    group: &'static str,
    current: Mutex<Option<Consumer>>,
    first_ids: FirstIds,
}

/// The first ids of messages in hand that have another id now. Clones are the same.
#[derive(Debug, Clone, Default)]
pub(crate) struct FirstIds(Arc<Mutex<HashMap<MessageId, MessageId>>>);

impl FirstIds {
    /// Learns the first id of a message that is delivered.
    pub(crate) fn learn(&self, id: MessageId, first_id: MessageId) {
        if id != first_id {
            self.with(|known| known.insert(id, first_id));
        }
    }

    fn of(&self, id: MessageId) -> MessageId {
        self.with(|known| known.get(&id).copied()).unwrap_or(id)
    }

    fn forget(&self, ids: impl Iterator<Item = MessageId>) {
        self.with(|known| {
            if !known.is_empty() {
                ids.for_each(|id| drop(known.remove(&id)));
            }
        });
    }

    fn with<R>(&self, action: impl FnOnce(&mut HashMap<MessageId, MessageId>) -> R) -> R {
        action(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl RoutedSettling {
    pub(super) fn new(
        router: Arc<Routed>,
        (topic, group): (TopicInfo, &'static str),
        first_ids: FirstIds,
    ) -> Self {
        Self {
            router,
            topic,
            group,
            current: Mutex::default(),
            first_ids,
        }
    }

    /// From now on this member settles.
    pub(super) fn use_member(&self, consumer: Consumer) {
        *self.current.lock().unwrap_or_else(PoisonError::into_inner) = Some(consumer);
    }

    fn member(&self) -> Result<Consumer, BusError> {
        let current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        let nobody = || BusError::Moved(format!("nobody reads {} yet", self.topic.name));
        current.clone().ok_or_else(nobody)
    }

    /// The outputs that go to the other server, by their topics.
    async fn far<'a>(
        &self,
        outputs: &'a [Output],
    ) -> Result<BTreeMap<&'static str, Vec<&'a Output>>, BusError> {
        let near = self.router.place(self.topic.name).await?;
        let mut far: BTreeMap<&'static str, Vec<&Output>> = BTreeMap::new();
        for output in outputs {
            far.entry(output.topic).or_default().push(output);
        }
        let topics: Vec<&'static str> = far.keys().copied().collect();
        for topic in topics {
            if self.router.place(topic).await? == near {
                far.remove(topic);
            }
        }
        Ok(far)
    }

    /// Publishes outputs of open causes; gives how many.
    async fn publish(
        &self,
        far: &BTreeMap<&'static str, Vec<&Output>>,
    ) -> Result<u64, BusError> {
        let causes: HashSet<MessageId> = far.values().flatten().map(|o| o.cause).collect();
        let open = self.open_of(&causes).await?;
        let mut published = 0;
        for (topic, outputs) in far {
            let server = self.router.home(topic).await?;
            let mut numbers: HashMap<MessageId, u64> = HashMap::new();
            let (mut fields, mut claims) = (Vec::<RawFields>::new(), Vec::<Once>::new());
            for output in outputs.iter().filter(|output| open.contains(&output.cause)) {
                let number = numbers.entry(output.cause).or_default();
                claims.push(output.once.clone().unwrap_or_else(|| self.claim(output, *number)));
                fields.push(output.fields.clone());
                *number += 1;
            }
            let ids = publish_fields_once(&*server, topic, &fields, &claims).await;
            let ids = self.router.explained(topic, ids).await?;
            published += u64::try_from(ids.iter().flatten().count()).unwrap_or(u64::MAX);
        }
        Ok(published)
    }

    fn claim(&self, output: &Output, number: u64) -> Once {
        let key = OutputKey {
            cause: self.topic.name.to_owned(),
            group: self.group.to_owned(),
            cause_id: self.first_ids.of(output.cause).to_string(),
            topic: output.topic.to_owned(),
            number,
        };
        Once {
            key: key.to_string(),
            claimant: self.group,
            window: WINDOW,
            rule: OnceRule::Unclaimed,
        }
    }

    /// Which of these messages nobody has settled.
    async fn open_of(&self, causes: &HashSet<MessageId>) -> Result<HashSet<MessageId>, BusError> {
        let mut open = HashSet::new();
        let (Some(first), Some(last)) = (causes.iter().min(), causes.iter().max()) else {
            return Ok(open);
        };
        let server: Arc<dyn Server> = self.router.home(self.topic.name).await?;
        let mut after = first.previous();
        while after < *last {
            let page = server.pending_messages(&self.topic, self.group, after, PAGE);
            let page = self.router.explained(self.topic.name, page.await).await?;
            let Some(end) = page.last() else { break };
            after = end.id;
            open.extend(page.iter().map(|m| m.id).filter(|id| causes.contains(id)));
        }
        Ok(open)
    }

    /// A settlement may be refused because its topic was put aside, or that of an output.
    async fn explained(&self, settled: Result<Settled, BusError>) -> Result<Settled, BusError> {
        match settled {
            Err(error) if is_put_aside(&error) => {
                self.router.knowledge.forget_all();
                let topic = self.topic.name;
                match self.router.state(topic).await? {
                    Some(_) => Err(BusError::Moved(format!("{topic} was moved to Kafka meanwhile"))),
                    None => Err(moving("a topic of its outputs")),
                }
            }
            settled => settled,
        }
    }
}

#[async_trait]
impl Settling for RoutedSettling {
    async fn settle(&self, settlement: &Settlement) -> Result<Settled, BusError> {
        let member = self.member()?;
        let far = self.far(&settlement.outputs).await?;
        let settled = if far.is_empty() {
            self.explained(member.settle(settlement).await).await?
        } else {
            let published = self.publish(&far).await?;
            let outputs = far.values().map(Vec::len).sum::<usize>();
            let withheld = u64::try_from(outputs).unwrap_or(u64::MAX) - published;
            metrics::count(metrics::WITHHELD, self.topic.name, self.group, withheld);
            let near = settlement.outputs.iter();
            let near = near.filter(|output| !far.contains_key(output.topic));
            let near = Settlement {
                outputs: near.cloned().collect(),
                done: settlement.done.clone(),
                retry: settlement.retry.clone(),
                dead: settlement.dead.clone(),
            };
            let mut settled = self.explained(member.settle(&near).await).await?;
            settled.published += published;
            settled
        };
        let verdicts = settlement.retry.iter().chain(&settlement.dead);
        let verdicts = verdicts.map(|verdict| verdict.id);
        self.first_ids
            .forget(settlement.done.iter().copied().chain(verdicts));
        Ok(settled)
    }

    async fn hand_back(&self, messages: &[(MessageId, u32)]) -> Result<(), BusError> {
        self.first_ids.forget(messages.iter().map(|(id, _)| *id));
        self.member()?.hand_back(messages).await
    }
}
