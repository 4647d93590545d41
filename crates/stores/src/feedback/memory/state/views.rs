//! The batches from outside.

use common::{AgentId, UnixMillis};

use super::{Batches, Contents, State, number};
use crate::feedback::age;
use crate::feedback::batches::{BatchOverview, BatchState, BatchesOverview};
use crate::feedback::item::FeedbackItem;

impl State {
    pub(in super::super) fn overview(&self, count: usize, now: UnixMillis) -> BatchesOverview {
        let agents = self.agents.iter();
        let mut batches: Vec<BatchOverview> = agents
            .flat_map(|(agent, batches)| batches.overview(agent, now))
            .collect();
        let is_open = |batch: &BatchOverview| batch.state == BatchState::Open;
        batches
            .sort_by_cached_key(|batch| (batch.created_at, batch.agent_id.clone(), is_open(batch)));
        let total_batches = number(batches.len());
        batches.truncate(count);
        BatchesOverview {
            total_batches,
            total_items: number(self.items),
            batches,
        }
    }

    pub(in super::super) fn of_agent(
        &self,
        agent: &AgentId,
        now: UnixMillis,
    ) -> Vec<BatchOverview> {
        let batches = self.agents.get(agent);
        batches.map_or_else(Vec::new, |batches| batches.overview(agent, now))
    }
}

impl Batches {
    /// The one that is flushed comes first.
    fn overview(&self, agent: &AgentId, now: UnixMillis) -> Vec<BatchOverview> {
        let flush = self.flush.as_ref().map(|flush| {
            let is_held = flush.token.is_some() && flush.until > now;
            BatchOverview {
                state: if is_held {
                    BatchState::Flushing
                } else {
                    BatchState::Waiting
                },
                attempts: flush.attempts,
                ..flush.contents.overview(agent, now)
            }
        });
        let open = self.open.as_ref();
        let open = open.map(|open| open.contents.overview(agent, now));
        flush.into_iter().chain(open).collect()
    }
}

impl Contents {
    fn overview(&self, agent: &AgentId, now: UnixMillis) -> BatchOverview {
        BatchOverview {
            agent_id: agent.clone(),
            state: BatchState::Open,
            items: number(self.items.len()),
            bytes: self.items.iter().map(bytes_of).sum(),
            created_at: self.created_at,
            last_item_at: self.last_item_at,
            age: age(self.created_at, now),
            urgent: self.is_urgent(),
            attempts: 0,
        }
    }
}

/// The texts of an item.
fn bytes_of(item: &FeedbackItem) -> u64 {
    let document = &item.document;
    let optional = [&document.text, &document.rating, &document.reaction];
    let extra = document.extra.iter();
    let texts = [
        document.feedback_id.as_str(),
        document.agent_id.as_str(),
        &document.room_id,
        &document.message_id,
        &document.user_id,
        &item.origin.stream,
        &item.origin.id,
    ]
    .into_iter()
    .chain(optional.into_iter().flatten().map(String::as_str))
    .chain(extra.flat_map(|(name, value)| [name.as_str(), value.as_str()]));
    texts.map(|text| number(text.len())).sum()
}
