//! Takes over messages that are due: failed ones after their wait, and those of consumers that
//! died or stall.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crash_points::{CrashPoint, reached};
use tokio::sync::mpsc;

use crate::backoff::RetryPolicy;
use crate::delivery::{Delivery, StoredMessage};
use crate::error::BusError;
use crate::in_hand::DeliveryBatch;
use crate::member::Member;
use crate::message_id::MessageId;
use crate::metrics;
use crate::settlement::{Settlement, Verdict};
use crate::streams::{Claim, Pending, PendingQuery, RETRYING};
use crate::trouble::Trouble;

/// Pending entries that are looked at in one call.
const PAGE: usize = 1_000;
/// Between two looks; shorter when the first retry comes sooner.
const SWEEP_LONGEST: Duration = Duration::from_millis(500);
const SWEEP_SHORTEST: Duration = Duration::from_millis(10);

/// Claims until the subscription is stopped.
pub(crate) async fn claim_due(member: Arc<Member>, sender: mpsc::Sender<DeliveryBatch>) {
    let soonest = member.options.retry.base.min(member.options.lease) / 4;
    let interval = soonest.clamp(SWEEP_SHORTEST, SWEEP_LONGEST);
    let mut trouble = Trouble::with("claiming");
    while member.wait(interval).await {
        let result = sweep(&member, &sender).await;
        trouble.observe(&member.membership, result);
    }
}

async fn sweep(member: &Member, sender: &mpsc::Sender<DeliveryBatch>) -> Result<(), BusError> {
    let mut due = find(member, Some(RETRYING.to_owned()), member.options.retry.base).await?;
    due.extend(find(member, None, member.options.lease).await?);
    for group in together(due, member.options.batch_max) {
        let Some(place) = member.place(sender).await else {
            return Ok(());
        };
        if let Some(batch) = claim(member, group).await? {
            place.send(batch);
        }
    }
    Ok(())
}

/// Pending messages of one consumer, or of all that are somebody's, which are due.
async fn find(
    member: &Member,
    consumer: Option<String>,
    idle_min: Duration,
) -> Result<Vec<Claim>, BusError> {
    let mut due = Vec::new();
    let mut after = MessageId::ZERO;
    while due.len() < member.options.batch_max {
        let query = PendingQuery {
            consumer: consumer.clone(),
            idle_min,
            after,
            count: PAGE,
        };
        let page = member.server.pending(&member.membership, query).await?;
        let Some(last) = page.last() else { break };
        after = last.id;
        due.extend(
            page.iter()
                .filter(|pending| !member.in_hand.contains(pending.id))
                .filter_map(|pending| {
                    claim_of(
                        pending,
                        consumer.is_some(),
                        member.options.lease,
                        &member.options.retry,
                    )
                }),
        );
    }
    Ok(due)
}

/// The claim on a pending message, if it is due. A message that waits for a retry is due by its
/// back-off, one that somebody holds by the lease.
fn claim_of(
    pending: &Pending,
    waiting: bool,
    lease: Duration,
    retry: &RetryPolicy,
) -> Option<Claim> {
    if waiting != (pending.consumer == RETRYING) {
        return None;
    }
    let idle_min = if waiting {
        retry.wait(pending.id, pending.deliveries)
    } else {
        lease
    };
    (pending.idle >= idle_min).then_some(Claim {
        id: pending.id,
        idle_min,
        deliveries: pending.deliveries.saturating_add(1),
    })
}

/// Sorts claims into batches by how often their messages were delivered.
fn together(due: Vec<Claim>, batch_max: usize) -> Vec<Vec<Claim>> {
    let mut by_deliveries: BTreeMap<u32, Vec<Claim>> = BTreeMap::new();
    for claim in due {
        by_deliveries
            .entry(claim.deliveries)
            .or_default()
            .push(claim);
    }
    let mut groups = Vec::new();
    for (deliveries, claims) in by_deliveries {
        let size = RetryPolicy::batch_max(deliveries, batch_max).max(1);
        groups.extend(claims.chunks(size).map(<[Claim]>::to_vec));
    }
    groups
}

async fn claim(member: &Member, mut claims: Vec<Claim>) -> Result<Option<DeliveryBatch>, BusError> {
    let deliveries_max = member.options.retry.deliveries_max;
    let exhausted = claims
        .first()
        .is_some_and(|claim| claim.deliveries > deliveries_max);
    if exhausted {
        // Taking a message over in order to give it up is no delivery.
        for claim in &mut claims {
            claim.deliveries = claim.deliveries.saturating_sub(1);
        }
    }
    let acquiring = member.acquiring.lock().await;
    let claimed = member.server.claim(&member.membership, &claims).await?;
    reached(CrashPoint::BusClaimed);
    report_vanished(member, &claimed.vanished);
    let (topic, group) = (member.membership.topic, member.membership.group);
    let count = u64::try_from(claimed.messages.len()).unwrap_or(u64::MAX);
    metrics::count(metrics::CLAIMED, topic, group, count);
    let deliveries = claims.first().map_or(1, |claim| claim.deliveries);
    let batch = deliver(member, claimed.messages, deliveries);
    drop(acquiring);
    match batch {
        Some(batch) if exhausted => give_up(member, batch).await.map(|()| None),
        batch => Ok(batch),
    }
}

pub(crate) fn report_vanished(member: &Member, vanished: &[MessageId]) {
    let Some(first) = vanished.first() else {
        return;
    };
    let (topic, group) = (member.membership.topic, member.membership.group);
    let lost = u64::try_from(vanished.len()).unwrap_or(u64::MAX);
    metrics::count(metrics::VANISHED, topic, group, lost);
    tracing::error!(topic, group, lost, %first, "pending messages were deleted: work is lost");
}

fn deliver(
    member: &Member,
    messages: Vec<StoredMessage>,
    deliveries: u32,
) -> Option<DeliveryBatch> {
    let messages: Vec<Delivery> = messages
        .into_iter()
        .map(|message| Delivery::of(message, deliveries, true))
        .collect();
    (!messages.is_empty()).then(|| member.batch(messages))
}

/// Messages whose consumers died over them as often as is allowed are not tried again.
async fn give_up(member: &Member, batch: DeliveryBatch) -> Result<(), BusError> {
    let dead = batch
        .messages
        .iter()
        .map(|message| Verdict {
            id: message.id,
            reason: "deliveries_exhausted".to_owned(),
            error: format!("not settled in {} deliveries", message.deliveries),
        })
        .collect();
    member
        .settle_all(&Settlement {
            dead,
            ..Settlement::default()
        })
        .await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pending(consumer: &str, idle_ms: u64, deliveries: u32) -> Pending {
        Pending {
            id: MessageId { major: 1, minor: 0 },
            consumer: consumer.to_owned(),
            idle: Duration::from_millis(idle_ms),
            deliveries,
        }
    }

    #[test]
    fn a_waiting_message_is_due_by_its_back_off_and_a_held_one_by_the_lease() {
        let retry = RetryPolicy {
            base: Duration::from_secs(1),
            ..RetryPolicy::default()
        };
        let lease = Duration::from_secs(30);
        let due = |pending: &Pending, waiting| claim_of(pending, waiting, lease, &retry).is_some();
        assert!(!due(&pending(RETRYING, 999, 1), true));
        assert!(due(&pending(RETRYING, 1_300, 1), true));
        assert!(
            !due(&pending(RETRYING, 1_300, 2), true),
            "the second wait is twice as long"
        );
        assert!(!due(&pending("a", 29_999, 1), false));
        assert!(due(&pending("a", 30_000, 1), false));
        assert!(
            !due(&pending(RETRYING, 99_000, 1), false),
            "nobody holds it"
        );
    }

    #[test]
    fn messages_that_came_back_often_are_claimed_alone() {
        let claim = |deliveries, minor| Claim {
            id: MessageId { major: 1, minor },
            idle_min: Duration::ZERO,
            deliveries,
        };
        let due: Vec<Claim> = (0..40)
            .map(|n| claim(2, n))
            .chain((40..43).map(|n| claim(4, n)))
            .collect();
        let sizes: Vec<usize> = together(due, 512).iter().map(Vec::len).collect();
        assert_eq!(sizes, [40, 1, 1, 1]);
    }
}
