//! What the log keeps of decisions on dead letters, whoever made them.

use common::topics::TopicInfo;

use crate::dead_letter::Redriven;
use crate::message_id::MessageId;

/// Says what is about to be done: when the answer gets lost, what was meant is still known.
pub(crate) fn announce(action: &'static str, topic: &TopicInfo, ids: &[MessageId]) {
    let letters: Vec<String> = ids.iter().map(MessageId::to_string).collect();
    tracing::info!(
        topic = topic.name,
        action,
        count = ids.len(),
        letters = letters.join(" "),
        "a decision on dead letters"
    );
}

/// Says what became of letters that were to be published again.
pub(crate) fn redriven(topic: &TopicInfo, ids: &[MessageId], results: &[Redriven]) {
    let topic = topic.name;
    for (id, result) in ids.iter().zip(results) {
        match result {
            Redriven::As(new_id) => {
                tracing::info!(topic, %id, result = "redriven", %new_id, "dead letter redriven");
            }
            Redriven::Unknown => unknown(topic, *id),
            Redriven::Refused(why) => {
                tracing::warn!(topic, %id, result = "refused", why, "dead letter not redriven");
            }
        }
    }
}

/// Says which letters were removed for good.
pub(crate) fn discarded(topic: &TopicInfo, ids: &[MessageId], results: &[bool]) {
    let topic = topic.name;
    for (id, was_there) in ids.iter().zip(results) {
        if *was_there {
            tracing::info!(topic, %id, result = "discarded", "dead letter discarded");
        } else {
            unknown(topic, *id);
        }
    }
}

fn unknown(topic: &'static str, id: MessageId) {
    tracing::warn!(topic, %id, result = "unknown", "no such dead letter");
}
