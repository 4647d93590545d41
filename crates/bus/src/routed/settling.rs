//! Settling messages whose outputs may go to topics of the other server.
//!
//! That cannot be one step. The outputs are published there first, each under a claim made of its
//! cause and its number, then the messages are settled: cut off in between, the messages come again,
//! and what was published before is not published again. An output with a claim of its own is
//! published under that. A message that is no longer open publishes nothing, as of the moment before.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use common::keys::OutputKey;
use common::topics::TopicInfo;
use common::{RawFields, Unavailable};

use tokio::sync::watch;

use super::first_ids::FirstIds;
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
/// How long a settlement waits for its member to join.
const JOINING_LONGEST: Duration = Duration::from_secs(5);
/// Pending messages that are looked at in one call.
const PAGE: usize = 1_000;

/// A member of a group, on whichever server its topic lives now.
pub(super) struct RoutedSettling {
    router: Arc<Routed>,
    topic: TopicInfo,
    group: &'static str,
    current: watch::Sender<Option<Consumer>>,
    first_ids: FirstIds,
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
            current: watch::Sender::default(),
            first_ids,
        }
    }

    /// From now on this member settles.
    pub(super) fn use_member(&self, consumer: Consumer) {
        self.current.send_replace(Some(consumer));
    }

    /// The member on the server of the topic, as soon as it has joined.
    async fn member(&self) -> Result<Consumer, BusError> {
        let mut current = self.current.subscribe();
        let joined = current.wait_for(Option::is_some);
        let member = match tokio::time::timeout(JOINING_LONGEST, joined).await {
            Ok(Ok(member)) => member.clone(),
            Ok(Err(_)) | Err(_) => None,
        };
        let topic = self.topic.name;
        let nobody = || Unavailable::new("the bus", format_args!("nobody reads {topic} yet"));
        Ok(member.ok_or_else(nobody)?)
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
    async fn publish(&self, far: &BTreeMap<&'static str, Vec<&Output>>) -> Result<u64, BusError> {
        let causes: HashSet<MessageId> = far.values().flatten().map(|o| o.cause).collect();
        let open = self.open_of(&causes).await?;
        let mut published = 0;
        for (topic, outputs) in far {
            let server = self.router.home(topic).await?;
            let mut numbers: HashMap<MessageId, u64> = HashMap::new();
            let (mut fields, mut claims) = (Vec::<RawFields>::new(), Vec::<Once>::new());
            for output in outputs.iter().filter(|output| open.contains(&output.cause)) {
                let number = numbers.entry(output.cause).or_default();
                claims.push(
                    output
                        .once
                        .clone()
                        .unwrap_or_else(|| self.claim(output, *number)),
                );
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
                    Some(_) => Err(BusError::Moved(format!(
                        "{topic} was moved to Kafka meanwhile"
                    ))),
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
        let member = self.member().await?;
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
        self.member().await?.hand_back(messages).await
    }
}
