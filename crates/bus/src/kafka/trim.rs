//! Removing what everybody has finished, beyond what is kept.

use std::sync::Arc;

use common::topics::{Home, TopicInfo};
use rdkafka::Offset;
use rdkafka::admin::AdminOptions;

use super::client::{Core, blocking, failed};
use super::ledger::Ledger;
use super::looker::{LOOKER, Span, list_of};
use super::place::Place;
use super::topics::retry_topic;
use crate::error::BusError;

/// Removes finished messages beyond the retention, and finished retries; gives how many messages
/// there were.
pub(super) async fn trim(core: &Arc<Core>, topic: &TopicInfo) -> Result<u64, BusError> {
    let topic = *topic;
    let plans = blocking(core, move |core| plan(core, &topic)).await?;
    let mut removed = 0;
    for (number, (name, spans)) in plans.into_iter().enumerate() {
        let count = delete(core, &name, &spans).await?;
        if number == 0 {
            removed = count;
        }
    }
    Ok(removed)
}

type Plan = (String, Vec<Span>);

/// What is to be removed of the topic, and of the retries of each group.
fn plan(core: &Core, topic: &TopicInfo) -> Result<Vec<Plan>, BusError> {
    let Some(partitions) = core.partitions(topic.name)? else {
        return Ok(Vec::new());
    };
    let looker = core.looker(LOOKER)?;
    let name = core.settings.topic_name(topic.name);
    let mut spans = looker.spans(&name, partitions)?;
    for (span, kept) in spans.iter_mut().zip(shares(topic.retained, partitions)) {
        span.to = match topic.home {
            // Other programs read it, whose groups nobody here knows: the broker's retention goes.
            Home::Kafka => span.from,
            Home::Bus => span.from.max(span.to.saturating_sub(kept)),
        };
    }
    let mut plans = vec![(name, Vec::new())];
    for group in topic.groups {
        let Some(ledger) = Ledger::read(core, topic, group)? else {
            return Ok(Vec::new());
        };
        for (span, page) in spans.iter_mut().zip(&ledger.pages) {
            span.to = span.to.min(page.main.floor());
            // What failed lies elsewhere, and stays here for those who look for it.
            if let Some(place) = page.oldest().and_then(Place::of)
                && place.partition == span.partition
            {
                span.to = span.to.min(place.offset);
            }
        }
        let retries = core.settings.topic_name(&retry_topic(topic.name, group));
        if ledger.pages.iter().all(|page| page.retry.floor() == 0) {
            continue;
        }
        let mut finished = looker.spans(&retries, partitions)?;
        for (span, page) in finished.iter_mut().zip(&ledger.pages) {
            span.to = span.to.min(page.retry.floor());
        }
        plans.push((retries, finished));
    }
    if let Some((_, plan)) = plans.first_mut() {
        *plan = spans;
    }
    Ok(plans)
}

/// How many of the messages that are kept belong to each partition.
fn shares(retained: u64, partitions: i32) -> impl Iterator<Item = i64> {
    let partitions = i64::from(partitions.max(1));
    let retained = i64::try_from(retained).unwrap_or(i64::MAX);
    let (each, rest) = (retained / partitions, retained % partitions);
    (0..partitions).map(move |number| each + i64::from(number < rest))
}

async fn delete(core: &Core, name: &str, spans: &[Span]) -> Result<u64, BusError> {
    let what = "removing finished messages";
    let finished: Vec<&Span> = spans.iter().filter(|span| span.from < span.to).collect();
    if finished.is_empty() {
        return Ok(0);
    }
    let ends = finished
        .iter()
        .map(|span| (span.partition, Offset::Offset(span.to)));
    let list = list_of(name, ends).map_err(|error| failed(what, &error))?;
    let timeout = Some(core.settings.timeout());
    let options = AdminOptions::new()
        .request_timeout(timeout)
        .operation_timeout(timeout);
    let deleted = core.admin()?.delete_records(&list, &options).await;
    let deleted = deleted.map_err(|error| failed(what, &error))?;
    for element in deleted.elements() {
        element.error().map_err(|error| failed(what, &error))?;
    }
    Ok(finished.iter().map(|span| span.len()).sum())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_is_shared_among_the_partitions() {
        assert_eq!(shares(5, 1).collect::<Vec<_>>(), [5]);
        assert_eq!(shares(5, 3).collect::<Vec<_>>(), [2, 2, 1]);
        assert_eq!(shares(1, 3).collect::<Vec<_>>(), [1, 0, 0]);
    }
}
