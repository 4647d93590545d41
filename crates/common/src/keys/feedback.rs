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
    /// A set of the agents whose open batch has an item that should not wait long.
    FeedbackUrgentKey = "feedback:batches:urgent"
}

key! {
    /// A set of the agents whose open batch somebody asked to flush at once.
    FeedbackRequestedKey = "feedback:batches:requested"
}

key! {
    /// A list of the items of one agent that are flushed, newest first: sealed, it only goes as a
    /// whole.
    FeedbackFlushKey = "feedback:flush:{agentId}" {
        /// The agent.
        agent_id: String
    } "feedback:flush"
}

key! {
    /// A hash of one agent's flush: `meta` (as the batch's was), `urgent` (`1` or `0`), `attempts`,
    /// and `token`, the flusher's, which is missing while the flush waits for another try.
    FeedbackFlushStateKey = "feedback:flush:{agentId}:state" {
        /// The agent.
        agent_id: String
    } "feedback:flush", ":state"
}

key! {
    /// A sorted set of the agents with a flush, scored by the milliseconds since 1970 at which its
    /// lease, or its wait for another try, is over.
    FeedbackFlushesKey = "feedback:flushes"
}
