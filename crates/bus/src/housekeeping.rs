//! What a member does beside reading: keeps its leases, trims, counts, and removes dead members.

use std::sync::Arc;
use std::time::{Duration, Instant};

use common::topics;
use common::topics::TopicInfo;

use crate::error::BusError;
use crate::member::Member;
use crate::metrics;
use crate::trouble::Trouble;

/// While stopping, how often it is asked whether the last batch is done.
const STOPPING_INTERVAL: Duration = Duration::from_millis(20);
/// Every so many rounds the topics of others and the consumers are looked after.
const ROUNDS_OF_CARE: u32 = 10;

/// Keeps house until the subscription is stopped and nothing is in hand.
pub(crate) async fn keep_house(member: Arc<Member>) {
    let interval = member
        .options
        .housekeeping_interval
        .min(member.options.lease / 3);
    let mut next_round = Instant::now();
    let mut round: u32 = 0;
    let mut renewing = Trouble::with("renewing leases");
    let mut caring = Trouble::with("trimming and counting");
    loop {
        if member.stop.is_cancelled() {
            if member.in_hand.is_empty() {
                return;
            }
            tokio::time::sleep(STOPPING_INTERVAL).await;
        } else if !member.wait(interval).await {
            continue;
        }
        let result = renew(&member).await;
        renewing.observe(&member.membership, result);
        if next_round <= Instant::now() {
            next_round = Instant::now() + member.options.housekeeping_interval;
            let result = look_after(&member, round).await;
            caring.observe(&member.membership, result);
            round = round.wrapping_add(1);
        }
    }
}

/// Renews leases that are a third through.
async fn renew(member: &Member) -> Result<(), BusError> {
    let due = member.in_hand.take_due(member.options.lease / 3);
    if due.is_empty() {
        return Ok(());
    }
    let lost = member.server.renew(&member.membership, &due).await?;
    let still_held = lost
        .iter()
        .filter(|id| member.in_hand.contains(**id))
        .count();
    if still_held > 0 {
        let (topic, group) = (member.membership.topic, member.membership.group);
        metrics::count(
            metrics::LEASE_LOST,
            topic,
            group,
            u64::try_from(still_held).unwrap_or(0),
        );
        tracing::warn!(
            topic,
            group,
            still_held,
            "the lease was lost: others process the messages"
        );
    }
    Ok(())
}

async fn look_after(member: &Member, round: u32) -> Result<(), BusError> {
    member.server.trim(&member.topic).await?;
    if !round.is_multiple_of(ROUNDS_OF_CARE) {
        return Ok(());
    }
    // Topics that nobody reads have no member of their own to trim them.
    let unread = topics::ALL.iter().filter(|topic| topic.groups.is_empty());
    for topic in unread {
        member.server.trim(topic).await?;
    }
    observe(member, &member.topic).await?;
    member
        .server
        .remove_idle_consumers(&member.membership, member.options.consumer_idle_max)
        .await?;
    Ok(())
}

async fn observe(member: &Member, topic: &TopicInfo) -> Result<(), BusError> {
    let overview = member.server.overview(topic).await?;
    metrics::observe(topic, &overview);
    Ok(())
}
