//! Feedback that waits for a flush.

use super::part::key;

key! {
    /// A list of items of one agent, newest first.
    FeedbackBatchKey = "feedback:batch:{agentId}" {
        /// The agent.
        agent_id: String
    } "feedback:batch"
}

key! {
    /// A JSON object with `createdAt`, `lastItemAt` and `itemCount` of one agent's batch.
    FeedbackBatchMetaKey = "feedback:batch:{agentId}:meta" {
        /// The agent.
        agent_id: String
    } "feedback:batch", ":meta"
}

key! {
    /// A set of the agents with an open batch.
    FeedbackBatchesIndexKey = "feedback:batches:index"
}

key! {
    /// Claimed while the event of a document counts as published.
    FeedbackCreatedKey = "feedback:created:{eventId}" {
        /// The event's id.
        event_id: String
    } "feedback:created"
}

key! {
    /// Claimed while an item that can never be kept counts as given up.
    FeedbackLetterKey = "feedback:letter:{stream}:{id}" {
        /// The stream its message lay in.
        stream: String,
        /// The message's id there.
        id: String
    } "feedback:letter"
}
