//! `feedback.created`: tells of every document of a batch that is kept, also of those that were kept
//! before: a crash between the write and this leaves none untold.

use std::time::Duration;

use bus::{Bus, BusError, Once, OnceRule};
use common::ids::feedback_event_id;
use common::keys::FeedbackCreatedKey;
use common::messages::FeedbackCreated;
use common::topics::FeedbackCreatedTopic;
use crash_points::{CrashPoint, reached};
use stores::FeedbackDocument;

use crate::metrics;

/// How long it is remembered that an event was published: longer than a batch is tried while a
/// server is down for a night.
const WINDOW: Duration = Duration::from_hours(24);
/// Who claims.
const CLAIMANT: &str = "feedback-flusher";

/// Publishes the events, `publish_max` in a call. Repeating it publishes only what was not.
pub(crate) async fn publish(
    bus: &Bus,
    documents: &[&FeedbackDocument],
    publish_max: usize,
) -> Result<(), BusError> {
    let parts = documents.chunks(publish_max.max(1));
    let last = parts.len();
    for (number, part) in (1..).zip(parts) {
        let events: Vec<FeedbackCreated> = part.iter().map(|document| event(document)).collect();
        let claims: Vec<Once> = events.iter().map(claim).collect();
        let ids = bus.publish_once::<FeedbackCreatedTopic>(&events, &claims);
        metrics::events(ids.await?.iter().flatten().count(), events.len());
        if number < last {
            reached(CrashPoint::FeedbackHalfPublished);
        }
    }
    Ok(())
}

fn event(document: &FeedbackDocument) -> FeedbackCreated {
    FeedbackCreated {
        event_id: feedback_event_id(&document.feedback_id),
        feedback_id: document.feedback_id.clone(),
        agent_id: document.agent_id.to_string(),
        kind: document.kind,
        room_id: document.room_id.clone(),
        message_id: document.message_id.clone(),
        user_id: document.user_id.clone(),
        created_at: document.created_at,
        extra: Vec::new(),
    }
}

fn claim(event: &FeedbackCreated) -> Once {
    Once {
        key: FeedbackCreatedKey {
            event_id: event.event_id.to_string(),
        }
        .to_string(),
        claimant: CLAIMANT,
        window: WINDOW,
        rule: OnceRule::Unclaimed,
    }
}
