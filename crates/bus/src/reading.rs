//! Reads new messages for one member, and finds those that were delivered to nobody.

use std::sync::Arc;
use std::time::Duration;

use crash_points::{CrashPoint, reached};
use tokio::sync::{mpsc, watch};

use crate::claims;
use crate::delivery::Delivery;
use crate::error::BusError;
use crate::in_hand::DeliveryBatch;
use crate::member::Member;
use crate::message_id::MessageId;
use crate::metrics;
use crate::streams::{Claim, Pending, PendingQuery, Reader};

/// The first and the longest wait after a failed read.
const WAIT_FIRST: Duration = Duration::from_millis(50);
const WAIT_LONGEST: Duration = Duration::from_secs(5);

/// Reads until the subscription is stopped, and reports why it cannot. The read itself is never cancelled: a cancelled read
/// may have taken messages that nobody would ever see.
pub(crate) async fn read_new(
    member: Arc<Member>,
    sender: mpsc::Sender<DeliveryBatch>,
    report: watch::Sender<Option<String>>,
) {
    let mut reader = member
        .server
        .reader(&member.membership, member.options.read_wait);
    let mut state = State::Closed;
    let mut wait = WAIT_FIRST;
    while let Some(place) = member.place(&sender).await {
        match step(&member, reader.as_mut(), state).await {
            Ok((messages, next)) => {
                state = next;
                wait = WAIT_FIRST;
                report.send_if_modified(|trouble| trouble.take().is_some());
                if let Some(batch) = messages {
                    place.send(batch);
                }
            }
            Err(error) => {
                drop(place);
                tracing::warn!(topic = member.membership.topic, %error, "reading failed; waiting");
                // Whatever failed, the group may be gone and a delivery may have been lost.
                state = State::Closed;
                if !matches!(error, BusError::GroupGone(_)) {
                    report.send_replace(Some(error.to_string()));
                    if !member.wait(wait).await {
                        return;
                    }
                    wait = (wait * 2).min(WAIT_LONGEST);
                }
            }
        }
    }
}

#[derive(Debug, Clone, Copy)]
enum State {
    /// The group must be opened.
    Closed,
    /// Messages may have been delivered to this member without arriving; they come first.
    Recovering,
    /// Reading new messages.
    Reading,
}

type Step = (Option<DeliveryBatch>, State);

async fn step(member: &Member, reader: &mut dyn Reader, state: State) -> Result<Step, BusError> {
    match state {
        State::Closed => {
            member.open_group().await?;
            reached(CrashPoint::BusGroupOpened);
            Ok((None, State::Recovering))
        }
        State::Recovering => {
            let batch = recover(member).await?;
            let next = if batch.is_some() {
                State::Recovering
            } else {
                State::Reading
            };
            Ok((batch, next))
        }
        State::Reading => {
            let read = reader.read(member.options.batch_max).await?;
            let fresh = read.messages.into_iter().map(|message| {
                let repeat = message.id <= read.repeat_until;
                Delivery::of(message, 1, repeat)
            });
            let messages: Vec<Delivery> = fresh.collect();
            if !messages.is_empty() {
                reached(CrashPoint::BusReadDelivered);
            }
            let batch = (!messages.is_empty()).then(|| member.batch(messages));
            Ok((batch, State::Reading))
        }
    }
}

/// Takes messages that the server thinks this member has, and that it does not have.
async fn recover(member: &Member) -> Result<Option<DeliveryBatch>, BusError> {
    let acquiring = member.acquiring.lock().await;
    let mut batch = None;
    while batch.is_none() {
        let ghosts = ghosts(member).await?;
        if ghosts.is_empty() {
            break;
        }
        batch = take(member, ghosts).await?;
    }
    drop(acquiring);
    Ok(batch)
}

/// Nothing if all of them are gone.
async fn take(member: &Member, ghosts: Vec<Pending>) -> Result<Option<DeliveryBatch>, BusError> {
    let claims: Vec<Claim> = ghosts
        .iter()
        .map(|ghost| Claim {
            id: ghost.id,
            idle_min: Duration::ZERO,
            deliveries: ghost.deliveries,
        })
        .collect();
    let claimed = member.server.claim(&member.membership, &claims).await?;
    reached(CrashPoint::BusRecovered);
    claims::report_vanished(member, &claimed.vanished);
    let messages: Vec<Delivery> = claimed
        .messages
        .into_iter()
        .map(|message| {
            let deliveries = deliveries_of(&ghosts, message.id);
            Delivery::of(message, deliveries, true)
        })
        .collect();
    let recovered = u64::try_from(messages.len()).unwrap_or(u64::MAX);
    metrics::count(
        metrics::RECOVERED,
        member.membership.topic,
        member.membership.group,
        recovered,
    );
    Ok((!messages.is_empty()).then(|| member.batch(messages)))
}

async fn ghosts(member: &Member) -> Result<Vec<Pending>, BusError> {
    let mut ghosts = Vec::new();
    let mut after = MessageId::ZERO;
    while ghosts.len() < member.options.batch_max {
        let query = PendingQuery {
            consumer: Some(member.membership.consumer.clone()),
            idle_min: Duration::ZERO,
            after,
            count: member.options.batch_max,
        };
        let page = member.server.pending(&member.membership, query).await?;
        let Some(last) = page.last() else { break };
        after = last.id;
        ghosts.extend(
            page.into_iter()
                .filter(|pending| !member.in_hand.contains(pending.id)),
        );
    }
    ghosts.truncate(member.options.batch_max);
    Ok(ghosts)
}

fn deliveries_of(all: &[Pending], id: MessageId) -> u32 {
    all.iter()
        .find(|pending| pending.id == id)
        .map_or(1, |pending| pending.deliveries)
}
