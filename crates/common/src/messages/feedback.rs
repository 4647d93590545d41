//! Feedback on agents, as the chat service sends it and as it was stored.

use uuid::Uuid;

use crate::fields::{message, wire_enum};
use crate::time::UnixMillis;

wire_enum! {
    /// What kind of feedback an item is.
    FeedbackKind {
        /// A written answer, with or without a rating.
        Reply = "reply",
        /// A reaction to a message.
        Reaction = "reaction",
    }
}

message! {
    /// A written answer to an agent. Topic `feedback.reply.received`.
    FeedbackReply {
        /// The agent it is about; the record's key.
        agent_id = "agentId": String,
        /// The room it was given in.
        room_id = "roomId": String,
        /// The message it answers.
        message_id = "messageId": String,
        /// Who gave it.
        user_id = "userId": String,
        /// The words.
        text = "text": String,
        /// When it was given.
        created_at = "createdAt": UnixMillis,
    } optional {
        /// The sender's id of the item, its natural id when present.
        feedback_id = "feedbackId": String,
        /// The rating as the sender wrote it.
        rating = "rating": String,
    }
}

message! {
    /// A reaction to an agent's message. Topic `feedback.reaction.received`.
    FeedbackReaction {
        /// The agent it is about; the record's key.
        agent_id = "agentId": String,
        /// The room it was given in.
        room_id = "roomId": String,
        /// The message it is a reaction to.
        message_id = "messageId": String,
        /// Who gave it.
        user_id = "userId": String,
        /// The reaction, such as an emoji's name.
        reaction = "reaction": String,
        /// When it was given.
        created_at = "createdAt": UnixMillis,
    } optional {
        /// The sender's id of the item, its natural id when present.
        feedback_id = "feedbackId": String,
    }
}

message! {
    /// A feedback item is in the document store. Topic `feedback.created`.
    FeedbackCreated {
        /// The same for the same document: consumers drop repeats by it.
        event_id = "eventId": Uuid,
        /// The document's natural id.
        feedback_id = "feedbackId": String,
        /// The agent it is about; the record's key.
        agent_id = "agentId": String,
        /// What kind of item it is.
        kind = "kind": FeedbackKind,
        /// The room it was given in.
        room_id = "roomId": String,
        /// The message it is about.
        message_id = "messageId": String,
        /// Who gave it.
        user_id = "userId": String,
        /// When it was given.
        created_at = "createdAt": UnixMillis,
    }
}
