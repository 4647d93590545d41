//! One piece of feedback: as it waits, and as it is kept.

use std::collections::HashMap;

use common::messages::FeedbackKind;
use common::{AgentId, UnixMillis};

/// A piece of feedback as it is kept. Of two with the same `feedback_id` the one with the later
/// `created_at` stays; of two with the same `created_at` the one that was written last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FeedbackDocument {
    /// Its natural id: one document for each.
    pub feedback_id: String,
    /// The agent it is about.
    pub agent_id: AgentId,
    /// What kind of item it is.
    pub kind: FeedbackKind,
    /// The room it was given in.
    pub room_id: String,
    /// The message it is about.
    pub message_id: String,
    /// Who gave it.
    pub user_id: String,
    /// The words of a reply.
    pub text: Option<String>,
    /// The rating of a reply, as its sender wrote it.
    pub rating: Option<String>,
    /// The reaction.
    pub reaction: Option<String>,
    /// When it was given.
    pub created_at: UnixMillis,
    /// Fields that the sender added, in their order.
    pub extra: Vec<(String, String)>,
}

/// A piece of feedback that waits for a flush.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FeedbackItem {
    /// What it becomes.
    pub document: FeedbackDocument,
    /// Whether it should not wait as long as others.
    pub urgent: bool,
    /// The message that brought it, for its dead letter.
    pub origin: ItemOrigin,
}

/// The message that brought an item.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ItemOrigin {
    /// The stream it lay in.
    pub stream: String,
    /// Its id there.
    pub id: String,
    /// How often it was delivered.
    pub attempts: u32,
}

/// The items of each agent, in the order in which the agents come up first.
pub(super) fn by_agent(items: &[FeedbackItem]) -> Vec<(&AgentId, Vec<&FeedbackItem>)> {
    let mut groups: Vec<(&AgentId, Vec<&FeedbackItem>)> = Vec::new();
    let mut places = HashMap::new();
    for item in items {
        let agent = &item.document.agent_id;
        let place = *places.entry(agent).or_insert_with(|| {
            groups.push((agent, Vec::new()));
            groups.len() - 1
        });
        if let Some((_, group)) = groups.get_mut(place) {
            group.push(item);
        }
    }
    groups
}
