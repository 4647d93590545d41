//! What a message becomes: an item that waits for a flush, or a refusal with its reason.

mod urgency;

use std::collections::BTreeSet;

use common::fields::TextField;
use common::ids::{check_text, reaction_id, reply_id};
use common::messages::{FeedbackKind, FeedbackReaction, FeedbackReply};
use common::{AgentId, InvalidText, Message, UnixMillis};
use stores::{FeedbackDocument, FeedbackItem, ItemOrigin};

/// A message that gives feedback.
pub(crate) trait Feedback: Message {
    /// What it says, whatever its kind.
    fn given(&self) -> Given<'_>;
}

/// Feedback as its message has it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Given<'a> {
    kind: FeedbackKind,
    agent_id: &'a str,
    feedback_id: Option<&'a str>,
    room_id: &'a str,
    message_id: &'a str,
    user_id: &'a str,
    text: Option<&'a str>,
    rating: Option<&'a str>,
    reaction: Option<&'a str>,
    created_at: UnixMillis,
    extra: &'a [TextField],
}

/// What decides about items besides their messages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ItemRules {
    /// Bytes of all texts of an item at most.
    pub(crate) bytes_max: usize,
    /// Agents whose items never wait long.
    pub(crate) urgent_agents: BTreeSet<AgentId>,
}

/// Why a message can never be an item.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refusal {
    /// A stable code.
    pub(crate) reason: &'static str,
    /// For a person.
    pub(crate) detail: String,
}

impl ItemRules {
    /// The item that a message gives. When it was created is its sender's business: any time goes.
    pub(crate) fn item(
        &self,
        given: &Given<'_>,
        origin: ItemOrigin,
    ) -> Result<FeedbackItem, Refusal> {
        let agent_id = AgentId::new(given.agent_id)
            .map_err(|error| refusal("invalid_agent_id", format!("agentId {error}")))?;
        let bytes = given.bytes();
        if bytes > self.bytes_max {
            let detail = format!("the item has {bytes} bytes, more than {}", self.bytes_max);
            return Err(refusal("item_too_large", detail));
        }
        let urgent = urgency::is_urgent(given) || self.urgent_agents.contains(&agent_id);
        let owned = |text: Option<&str>| text.map(str::to_owned);
        let document = FeedbackDocument {
            feedback_id: given.natural_id()?,
            agent_id,
            kind: given.kind,
            room_id: given.room_id.to_owned(),
            message_id: given.message_id.to_owned(),
            user_id: given.user_id.to_owned(),
            text: owned(given.text),
            rating: owned(given.rating),
            reaction: owned(given.reaction),
            created_at: given.created_at,
            extra: given.extra.to_vec(),
        };
        Ok(FeedbackItem {
            document,
            urgent,
            origin,
        })
    }
}

impl Given<'_> {
    /// The sender's id of the item, else one made of what is unique about it.
    fn natural_id(&self) -> Result<String, Refusal> {
        if let Some(id) = self.feedback_id.filter(|id| !id.is_empty()) {
            check_text(id)
                .map_err(|error| refusal("invalid_feedback_id", format!("feedbackId {error}")))?;
            return Ok(id.to_owned());
        }
        check_part("messageId", self.message_id)?;
        let Some(reaction) = self.reaction else {
            return Ok(reply_id(self.message_id));
        };
        check_part("userId", self.user_id)?;
        check_part("reaction", reaction)?;
        Ok(reaction_id(self.message_id, self.user_id, reaction))
    }

    fn bytes(&self) -> usize {
        let optional = [self.feedback_id, self.text, self.rating, self.reaction];
        let required = [self.agent_id, self.room_id, self.message_id, self.user_id];
        let own = optional.iter().flatten().chain(&required);
        let extra = self.extra.iter();
        own.map(|text| text.len()).sum::<usize>()
            + extra
                .map(|(name, value)| name.len() + value.len())
                .sum::<usize>()
    }
}

/// What stands in an id that is made of several texts: items that differ must not share one, and a
/// control character separates the texts.
fn check_part(name: &str, text: &str) -> Result<(), Refusal> {
    match check_text(text) {
        Ok(()) | Err(InvalidText::TooLong) => Ok(()),
        Err(error) => {
            let detail = format!("there is no feedbackId, and {name} {error}");
            Err(refusal("no_natural_id", detail))
        }
    }
}

fn refusal(reason: &'static str, detail: String) -> Refusal {
    Refusal { reason, detail }
}

impl Feedback for FeedbackReply {
    fn given(&self) -> Given<'_> {
        Given {
            kind: FeedbackKind::Reply,
            agent_id: &self.agent_id,
            feedback_id: self.feedback_id.as_deref(),
            room_id: &self.room_id,
            message_id: &self.message_id,
            user_id: &self.user_id,
            text: Some(&self.text),
            rating: self.rating.as_deref(),
            reaction: None,
            created_at: self.created_at,
            extra: &self.extra,
        }
    }
}

impl Feedback for FeedbackReaction {
    fn given(&self) -> Given<'_> {
        Given {
            kind: FeedbackKind::Reaction,
            agent_id: &self.agent_id,
            feedback_id: self.feedback_id.as_deref(),
            room_id: &self.room_id,
            message_id: &self.message_id,
            user_id: &self.user_id,
            text: None,
            rating: None,
            reaction: Some(&self.reaction),
            created_at: self.created_at,
            extra: &self.extra,
        }
    }
}

#[cfg(test)]
mod tests;
