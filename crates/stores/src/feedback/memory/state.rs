//! The batches, and what can be done to them.

mod views;

use std::collections::HashMap;
use std::time::Duration;

use common::{AgentId, UnixMillis};

use crate::feedback::age;
use crate::feedback::batches::{Added, DueWhen, FlushLease, TakenBatch};
use crate::feedback::item::FeedbackItem;
use crate::feedback::ranking::{Rank, Ranking};

/// All batches.
#[derive(Debug, Default)]
pub(super) struct State {
    agents: HashMap<AgentId, Batches>,
    items: usize,
}

/// The batches of one agent; one of them at least is there.
#[derive(Debug, Default)]
struct Batches {
    open: Option<Open>,
    flush: Option<Flush>,
}

/// A batch's items, oldest first, and when the first and the last of them came.
#[derive(Debug)]
struct Contents {
    items: Vec<FeedbackItem>,
    created_at: UnixMillis,
    last_item_at: UnixMillis,
}

#[derive(Debug)]
struct Open {
    contents: Contents,
    is_requested: bool,
}

#[derive(Debug)]
struct Flush {
    contents: Contents,
    /// Nothing after it was given up.
    token: Option<String>,
    attempts: u32,
    /// When the lease or the wait is over.
    until: UnixMillis,
}

impl Contents {
    fn is_urgent(&self) -> bool {
        self.items.iter().any(|item| item.urgent)
    }

    fn rank(&self, agent: &AgentId) -> Rank {
        Rank::new(self.is_urgent(), self.created_at, agent.clone())
    }

    /// Separates the oldest items; gives what is left, if anything. When the first of that came is
    /// not known, so it counts as old as the batch was.
    fn split(mut self, count: usize) -> (Self, Option<Self>) {
        if self.items.len() <= count.max(1) {
            return (self, None);
        }
        let rest = self.items.split_off(count.max(1));
        let rest = Self {
            items: rest,
            ..self
        };
        (self, Some(rest))
    }
}

impl State {
    pub(super) fn items(&self) -> usize {
        self.items
    }

    pub(super) fn add(&mut self, items: &[FeedbackItem], now: UnixMillis) -> Added {
        let mut added = Added::default();
        let mut places = HashMap::new();
        for item in items {
            let agent = &item.document.agent_id;
            let batches = self.agents.entry(agent.clone()).or_default();
            let open = batches.open.get_or_insert_with(|| Open::begun(now));
            open.contents.items.push(item.clone());
            open.contents.last_item_at = now;
            let waiting = number(open.contents.items.len());
            let place = *places.entry(agent).or_insert_with(|| {
                added.waiting.push((agent.clone(), 0));
                added.waiting.len() - 1
            });
            if let Some(known) = added.waiting.get_mut(place) {
                known.1 = waiting;
            }
        }
        self.items += items.len();
        added
    }

    pub(super) fn due(&self, when: &DueWhen, count: usize, now: UnixMillis) -> Vec<AgentId> {
        let mut ranking = Ranking::of(count);
        for (agent, batches) in &self.agents {
            match (&batches.flush, &batches.open) {
                (Some(flush), _) if flush.until <= now => {
                    ranking.add(flush.contents.rank(agent));
                }
                (None, Some(open)) if open.is_due(when, now) => {
                    ranking.add(open.contents.rank(agent));
                }
                _ => {}
            }
        }
        ranking.into_iter().map(|rank| rank.agent).collect()
    }

    pub(super) fn take(
        &mut self,
        agent: &AgentId,
        lease: &FlushLease,
        now: UnixMillis,
    ) -> Option<TakenBatch> {
        let batches = self.agents.get_mut(agent)?;
        if batches.flush.is_none() {
            let open = batches.open.take()?;
            let (sealed, rest) = open.contents.split(lease.items_max);
            let is_requested = open.is_requested;
            batches.open = rest.map(|contents| Open {
                contents,
                is_requested,
            });
            batches.flush = Some(Flush::of(sealed, now));
        }
        let flush = batches.flush.as_mut()?;
        if flush.until > now {
            return None;
        }
        flush.attempts += 1;
        flush.token = Some(lease.token.clone());
        flush.until = after(now, lease.length);
        Some(TakenBatch {
            agent_id: agent.clone(),
            token: lease.token.clone(),
            items: flush.contents.items.clone(),
            unreadable: Vec::new(),
            attempts: flush.attempts,
            age: age(flush.contents.created_at, now),
        })
    }

    pub(super) fn renew(&mut self, batch: &TakenBatch, length: Duration, now: UnixMillis) -> bool {
        let Some(flush) = self.flush_of(batch) else {
            return false;
        };
        flush.until = after(now, length);
        true
    }

    pub(super) fn release(&mut self, batch: &TakenBatch, wait: Duration, now: UnixMillis) {
        if let Some(flush) = self.flush_of(batch) {
            flush.token = None;
            flush.until = after(now, wait);
        }
    }

    pub(super) fn finish(&mut self, batch: &TakenBatch) -> bool {
        let Some(flush) = self.flush_of(batch) else {
            return false;
        };
        let items = flush.contents.items.len();
        self.items = self.items.saturating_sub(items);
        if let Some(batches) = self.agents.get_mut(&batch.agent_id) {
            batches.flush = None;
            if batches.open.is_none() {
                self.agents.remove(&batch.agent_id);
            }
        }
        true
    }

    pub(super) fn request(&mut self, agent: Option<&AgentId>, now: UnixMillis) -> u64 {
        match agent {
            Some(agent) => self
                .agents
                .get_mut(agent)
                .map_or(0, |batches| batches.request(now)),
            None => self
                .agents
                .values_mut()
                .map(|batches| batches.request(now))
                .sum(),
        }
    }

    /// The flush of a batch, if it is still its taker's.
    fn flush_of(&mut self, batch: &TakenBatch) -> Option<&mut Flush> {
        let flush = self.agents.get_mut(&batch.agent_id)?.flush.as_mut()?;
        (flush.token.as_deref() == Some(&batch.token)).then_some(flush)
    }
}

impl Batches {
    fn request(&mut self, now: UnixMillis) -> u64 {
        let mut due = 0;
        if let Some(open) = &mut self.open {
            open.is_requested = true;
            due += 1;
        }
        if let Some(flush) = &mut self.flush {
            if flush.token.is_none() {
                flush.until = flush.until.min(now);
            }
            due += u64::from(flush.until <= now);
        }
        due
    }
}

impl Open {
    fn begun(now: UnixMillis) -> Self {
        Self {
            contents: Contents {
                items: Vec::new(),
                created_at: now,
                last_item_at: now,
            },
            is_requested: false,
        }
    }

    fn is_due(&self, when: &DueWhen, now: UnixMillis) -> bool {
        let age = age(self.contents.created_at, now);
        self.is_requested
            || number(self.contents.items.len()) >= when.items
            || age >= when.age
            || (age >= when.urgent_age && self.contents.is_urgent())
    }
}

impl Flush {
    /// Nobody's yet.
    fn of(contents: Contents, now: UnixMillis) -> Self {
        Self {
            contents,
            token: None,
            attempts: 0,
            until: now,
        }
    }
}

fn number(length: usize) -> u64 {
    u64::try_from(length).unwrap_or(u64::MAX)
}

fn after(now: UnixMillis, time: Duration) -> UnixMillis {
    let millis = i64::try_from(time.as_millis()).unwrap_or(i64::MAX);
    UnixMillis(now.0.saturating_add(millis))
}
