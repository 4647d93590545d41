//! The keys of an agent.

use common::AgentId;
use common::keys::{
    FeedbackBatchKey, FeedbackBatchMetaKey, FeedbackFlushKey, FeedbackFlushStateKey,
};

pub(super) fn batch(agent: &AgentId) -> String {
    let agent_id = agent.to_string();
    FeedbackBatchKey { agent_id }.to_string()
}

pub(super) fn meta(agent: &AgentId) -> String {
    let agent_id = agent.to_string();
    FeedbackBatchMetaKey { agent_id }.to_string()
}

pub(super) fn flush(agent: &AgentId) -> String {
    let agent_id = agent.to_string();
    FeedbackFlushKey { agent_id }.to_string()
}

pub(super) fn flush_state(agent: &AgentId) -> String {
    let agent_id = agent.to_string();
    FeedbackFlushStateKey { agent_id }.to_string()
}
