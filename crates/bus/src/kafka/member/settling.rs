//! Settling: the books change, and what is to be published with it goes into one transaction with
//! them. Without anything to publish, a commit will do.

use std::collections::BTreeMap;
use std::sync::{Arc, MutexGuard};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use common::messages::DeadLetter;
use common::topics::DEAD_LETTER_SUFFIX;
use common::{Message as _, UnixMillis};
use crash_points::{CrashPoint, reached};
use rdkafka::consumer::BaseConsumer;

use super::desk::{Hall, Known};
use super::rebalancing::Attending;
use super::{Failure, KafkaMember, Lane};
use crate::consumer::Settling;
use crate::error::BusError;
use crate::kafka::book::{Outcome, State};
use crate::kafka::client::{down, locked, now_ms};
use crate::kafka::ledger::Page;
use crate::kafka::record::Record;
use crate::kafka::{claims, topics};
use crate::message_id::MessageId;
use crate::metrics;
use crate::settlement::{Output, Settled, Settlement, Verdict};

/// How long a settlement waits while members come and go, before it is tried again.
const CHANGING_WAIT: Duration = Duration::from_millis(50);

/// Settles for a member, where it blocks nobody.
pub(super) struct Settler(pub(super) Arc<KafkaMember>);

/// A member that is in the group, and its hall.
type AtWork<'a> = (Arc<BaseConsumer<Attending>>, MutexGuard<'a, Hall>);
/// A message and its deliveries.
type InHands = (Known, u32);
/// Where a message is.
type Spot = (i32, Lane, i64);

/// What a settlement comes to.
#[derive(Default)]
pub(super) struct Plan {
    pub(super) pages: BTreeMap<i32, Page>,
    pub(super) closed: Vec<Spot>,
    pub(super) outgoing: Vec<Outgoing>,
    pub(super) settled: Settled,
}

/// What is published with it.
pub(super) struct Outgoing {
    /// The topic's name on the brokers.
    pub(super) topic: String,
    pub(super) partition: Option<i32>,
    pub(super) record: Record,
    /// What it is when it waits for its retry.
    pub(super) moved: Option<Known>,
}

#[async_trait]
impl Settling for Settler {
    async fn settle(&self, settlement: &Settlement) -> Result<Settled, BusError> {
        let member = &self.0;
        let mut outputs: Vec<Output> = Vec::new();
        if !settlement.outputs.is_empty() {
            // A closed message must not use up its claims.
            let hall = locked(&member.hall);
            let open = settlement.outputs.iter();
            let open = open.filter(|output| hall.find(output.cause).is_some());
            outputs.extend(open.cloned());
        }
        let granted = claims::grant(&member.core, &outputs).await?;
        let granted = outputs.into_iter().zip(granted);
        let outputs: Vec<Output> = granted.filter_map(|(o, yes)| yes.then_some(o)).collect();
        for output in &outputs {
            topics::ensure(&member.core, output.topic).await?;
        }
        let all = settlement.clone();
        reached(CrashPoint::BusSettleSending);
        let settled = self
            .blocking(move |member| member.settle(&all, &outputs))
            .await?;
        reached(CrashPoint::BusSettleSent);
        metrics::settled(&member.membership, settlement, &settled);
        Ok(settled)
    }

    async fn hand_back(&self, messages: &[(MessageId, u32)]) -> Result<(), BusError> {
        let messages = messages.to_vec();
        self.blocking(move |member| member.hand_back(&messages))
            .await
    }
}

impl Settler {
    async fn blocking<T: Send + 'static>(
        &self,
        action: impl FnOnce(&KafkaMember) -> Result<T, BusError> + Send + 'static,
    ) -> Result<T, BusError> {
        let member = Arc::clone(&self.0);
        let task = tokio::task::spawn_blocking(move || action(&member));
        task.await.unwrap_or_else(|error| Err(down(&error)))
    }
}

impl KafkaMember {
    fn settle(&self, all: &Settlement, outputs: &[Output]) -> Result<Settled, BusError> {
        let deadline = Instant::now() + self.timeout();
        loop {
            let Some((consumer, mut hall)) = self.at_work()? else {
                return Ok(Settled::default());
            };
            hall.is_changing = false;
            match self.settle_in(&consumer, &mut hall, (all, outputs)) {
                Ok(settled) => {
                    self.changed.notify_all();
                    return Ok(settled);
                }
                Err(_) if hall.is_changing && Instant::now() < deadline => {
                    drop(self.changed.wait_timeout(hall, CHANGING_WAIT));
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// The consumer and the hall; nothing when this member owns nothing any more.
    fn at_work(&self) -> Result<Option<AtWork<'_>>, BusError> {
        let consumer = self.consumer();
        let hall = locked(&self.hall);
        match consumer {
            Some(consumer) if !hall.is_between => Ok(Some((consumer, hall))),
            _ if self.is_gone() || !hall.is_between => Ok(None),
            _ => Err(down(&"joining the group again")),
        }
    }

    pub(super) fn settle_in(
        &self,
        consumer: &BaseConsumer<Attending>,
        hall: &mut Hall,
        (all, outputs): (&Settlement, &[Output]),
    ) -> Result<Settled, BusError> {
        self.make_sure(consumer, hall)?;
        let plan = self.plan(hall, all, outputs)?;
        let settled = plan.settled;
        if plan.outgoing.is_empty() {
            self.commit(consumer, hall, plan.pages)?;
            for spot in plan.closed {
                hall.close(spot);
            }
        } else {
            self.transact(consumer, hall, plan)?;
        }
        Ok(settled)
    }

    fn plan(
        &self,
        hall: &mut Hall,
        all: &Settlement,
        outputs: &[Output],
    ) -> Result<Plan, BusError> {
        let mut plan = Plan::default();
        for id in &all.done {
            if close(hall, &mut plan, *id, Outcome::Done).is_none() {
                continue;
            }
            plan.settled.done += 1;
            for output in outputs.iter().filter(|output| output.cause == *id) {
                plan.settled.published += 1;
                plan.outgoing.push(Outgoing {
                    topic: self.core.settings.topic_name(output.topic),
                    partition: None,
                    record: Record::of(output.topic, &output.fields),
                    moved: None,
                });
            }
        }
        for verdict in &all.retry {
            plan.settled.retried += u64::from(self.retry(hall, &mut plan, verdict)?);
        }
        for verdict in &all.dead {
            plan.settled.dead += u64::from(self.bury(hall, &mut plan, verdict)?);
        }
        for (partition, page) in &mut plan.pages {
            if let Some(desk) = hall.desks.get(partition) {
                desk.note_oldest(page);
            }
        }
        Ok(plan)
    }

    fn retry(&self, hall: &mut Hall, plan: &mut Plan, why: &Verdict) -> Result<bool, BusError> {
        let Some((mut known, deliveries)) = in_hands(hall, why.id)? else {
            return Ok(false);
        };
        let Some((partition, ..)) = close(hall, plan, why.id, Outcome::Moved) else {
            return Ok(false);
        };
        let wait = self.options.retry.wait(why.id, deliveries).as_millis();
        let now = now_ms();
        let failure = Failure {
            deliveries,
            due_ms: now.saturating_add(i64::try_from(wait).unwrap_or(i64::MAX)),
            first_failed_ms: known.failure.map_or(now, |f| f.first_failed_ms),
            last: format!("{}: {}", why.reason, why.error),
        };
        let mut record = known.record.clone();
        record.headers.extend(failure.headers(why.id));
        known.failure = Some(failure);
        if let Some(page) = plan.pages.get_mut(&partition) {
            let oldest = page.retry.oldest;
            page.retry.oldest = if oldest == MessageId::ZERO {
                why.id
            } else {
                oldest.min(why.id)
            };
        }
        plan.outgoing.push(Outgoing {
            topic: self.names.retry.clone(),
            partition: Some(partition),
            record,
            moved: Some(known),
        });
        Ok(true)
    }

    fn bury(&self, hall: &mut Hall, plan: &mut Plan, why: &Verdict) -> Result<bool, BusError> {
        let Some((known, attempts)) = in_hands(hall, why.id)? else {
            return Ok(false);
        };
        if close(hall, plan, why.id, Outcome::Dead).is_none() {
            return Ok(false);
        }
        let now = UnixMillis(now_ms());
        let mut error = why.error.clone();
        let last = known.failure.as_ref().map(|failure| &failure.last);
        if let Some(last) = last.filter(|last| **last != error) {
            error = format!("{error}; last failure: {last}");
        }
        let letter = DeadLetter {
            reason: why.reason.clone(),
            error,
            stream: self.topic.name.to_owned(),
            id: why.id.to_string(),
            group: self.membership.group.to_owned(),
            attempts,
            first_failed_at: known
                .failure
                .as_ref()
                .map_or(now, |failure| UnixMillis(failure.first_failed_ms)),
            failed_at: now,
            worker: self.membership.consumer.clone(),
            part: None,
            extra: Vec::new(),
        };
        let mut fields = known.message().fields;
        letter.encode(&mut fields);
        let letters = format!("{}{DEAD_LETTER_SUFFIX}", self.topic.name);
        let mut record = Record::of(&letters, &fields);
        record.key = Some(format!("{}:{}", self.membership.group, why.id).into_bytes());
        plan.outgoing.push(Outgoing {
            topic: self.core.settings.topic_name(&letters),
            partition: Some(0),
            record,
            moved: None,
        });
        Ok(true)
    }

    /// Notes that messages were not started, and has them ready again.
    fn hand_back(&self, messages: &[(MessageId, u32)]) -> Result<(), BusError> {
        let Some((consumer, mut hall)) = self.at_work()? else {
            return Ok(());
        };
        self.make_sure(&consumer, &mut hall)?;
        let mut pages: BTreeMap<i32, Page> = BTreeMap::new();
        let mut spots = Vec::new();
        for (id, deliveries) in messages {
            let Some(spot) = hall.find(*id) else {
                continue;
            };
            let (partition, lane, offset) = spot;
            let before = hall.known(spot).map_or(0, Known::deliveries_before);
            let times = deliveries.saturating_sub(1).saturating_sub(before);
            if let Some(desk) = hall.desks.get(&partition) {
                let page = pages.entry(partition).or_insert_with(|| desk.page());
                page.book_mut(lane).hand_back(offset, times);
                spots.push(spot);
            }
        }
        self.commit(&consumer, &mut hall, pages)?;
        for (partition, lane, offset) in spots {
            if let Some(desk) = hall.desks.get_mut(&partition) {
                let pile = desk.piles.get_mut(lane);
                if pile.held.remove(&offset).is_some() {
                    pile.ready.insert(offset);
                }
            }
        }
        self.changed.notify_all();
        Ok(())
    }
}

/// Settles a message in the plan; nothing if it is not open here.
fn close(hall: &mut Hall, plan: &mut Plan, id: MessageId, outcome: Outcome) -> Option<Spot> {
    let spot = hall.find(id)?;
    let (partition, lane, offset) = spot;
    let desk = hall.desks.get_mut(&partition)?;
    let page = plan.pages.entry(partition).or_insert_with(|| {
        desk.piles.main.compare();
        desk.piles.retry.compare();
        desk.page()
    });
    if !page.book_mut(lane).settle(offset, outcome) {
        return None;
    }
    plan.closed.push(spot);
    Some(spot)
}

/// A message that is in this member's hands, with its deliveries; nothing if it is not.
fn in_hands(hall: &Hall, id: MessageId) -> Result<Option<InHands>, BusError> {
    let Some(spot) = hall.find(id) else {
        return Ok(None);
    };
    let (partition, lane, offset) = spot;
    let Some(known) = hall.known(spot) else {
        return Err(down(&"the message is not read again yet"));
    };
    let book = hall.desks.get(&partition).map(|d| &d.piles.get(lane).book);
    Ok(match book.map(|book| book.state(offset)) {
        Some(State::Delivered(times)) => {
            let deliveries = known.deliveries_before().saturating_add(times);
            Some((known.clone(), deliveries))
        }
        Some(State::Settled | State::Untouched) | None => None,
    })
}

impl Page {
    pub(super) fn book_mut(&mut self, lane: Lane) -> &mut crate::kafka::book::Book {
        match lane {
            Lane::Main => &mut self.main,
            Lane::Retry => &mut self.retry,
        }
    }
}
