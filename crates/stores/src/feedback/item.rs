//! One piece of feedback: as it waits, and as it is kept.

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
