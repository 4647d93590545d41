//! What a member does beside reading: trims, counts, and lets old letters go.

use std::time::Duration;

use common::topics;
use crash_points::{CrashPoint, reached};

use super::KafkaMember;
use crate::error::BusError;
use crate::kafka::client::{Core, blocking};
use crate::kafka::{letters, overview, trim};
use crate::metrics;
use crate::trouble::Trouble;

/// Trimming asks the brokers several things: not more often than this.
const INTERVAL_MIN: Duration = Duration::from_secs(1);
/// Every so many rounds the topics of others are looked after, and the gauges set.
const ROUNDS_OF_CARE: u32 = 10;

/// Keeps house until the subscription is stopped.
pub(super) async fn keep_house(member: &KafkaMember) {
    let interval = member.options.housekeeping_interval.max(INTERVAL_MIN);
    let mut caring = Trouble::with("trimming and counting");
    let mut round: u32 = 0;
    loop {
        tokio::select! {
            () = member.stop.cancelled() => return,
            () = tokio::time::sleep(interval) => {}
        }
        let result = look_after(member, round).await;
        caring.observe(&member.membership, result);
        round = round.wrapping_add(1);
    }
}

async fn look_after(member: &KafkaMember, round: u32) -> Result<(), BusError> {
    let topic = member.topic;
    trim::trim(&member.core, &topic).await?;
    reached(CrashPoint::BusTrimmed);
    if !round.is_multiple_of(ROUNDS_OF_CARE) {
        return Ok(());
    }
    for unread in topics::ALL.iter().filter(|topic| topic.groups.is_empty()) {
        trim::trim(&member.core, unread).await?;
    }
    let look = move |core: &Core| {
        letters::expire(core, &topic)?;
        overview::overview(core, &topic)
    };
    let overview = blocking(&member.core, look).await?;
    metrics::observe(&topic, &overview);
    Ok(())
}
