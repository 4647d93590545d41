//! Feedback that tests give.

use common::UnixMillis;
use common::messages::{FeedbackReaction, FeedbackReply};

const GIVEN_AT: UnixMillis = UnixMillis(1_767_225_600_000);

/// A reply to a message of an agent; the message's number makes it one of its own.
pub(crate) fn reply(agent: &str, number: usize) -> FeedbackReply {
    FeedbackReply {
        agent_id: agent.to_owned(),
        room_id: "room-1".to_owned(),
        message_id: format!("{agent}-m{number}"),
        user_id: format!("user-{}", number % 7),
        text: format!("reply {number}"),
        created_at: GIVEN_AT,
        feedback_id: None,
        rating: Some("5".to_owned()),
        extra: vec![("lang".to_owned(), "en".to_owned())],
    }
}

/// Replies to the messages of these numbers.
pub(crate) fn replies(agent: &str, numbers: std::ops::Range<usize>) -> Vec<FeedbackReply> {
    numbers.map(|number| reply(agent, number)).collect()
}

/// A reaction to the message of a number.
pub(crate) fn reaction(agent: &str, number: usize, reaction: &str) -> FeedbackReaction {
    FeedbackReaction {
        agent_id: agent.to_owned(),
        room_id: "room-1".to_owned(),
        message_id: format!("{agent}-m{number}"),
        user_id: "ann".to_owned(),
        reaction: reaction.to_owned(),
        created_at: GIVEN_AT,
        feedback_id: None,
        extra: Vec::new(),
    }
}
