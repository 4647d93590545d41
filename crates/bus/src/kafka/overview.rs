//! Counting, by the arithmetic of offsets. Everything here blocks.

use std::collections::HashMap;
use std::time::Duration;

use common::topics::TopicInfo;
use rdkafka::Message as _;

use super::client::{Core, now_ms};
use super::ledger::{Ledger, Page};
use super::letters;
use super::looker::{LOOKER, Span, Visit};
use crate::error::BusError;
use crate::message_id::MessageId;
use crate::overview::{Count, GroupOverview, TopicOverview};

/// Undelivered records that are counted one by one: among them may be marks of transactions.
const COUNTED_MAX: u64 = 2_000;
/// How often the letters and the books are read until they fit: each is read at a moment of its own.
const READS_MAX: u32 = 5;

pub(super) fn overview(core: &Core, topic: &TopicInfo) -> Result<TopicOverview, BusError> {
    let mut reads = 0;
    loop {
        let found = read(core, topic)?;
        reads += 1;
        if found.audit().dead_letters_difference == 0 || reads == READS_MAX {
            return Ok(found);
        }
    }
}

fn read(core: &Core, topic: &TopicInfo) -> Result<TopicOverview, BusError> {
    let mut overview = TopicOverview {
        name: topic.name.to_owned(),
        ..TopicOverview::default()
    };
    let Some(partitions) = core.partitions(topic.name)? else {
        return Ok(overview);
    };
    let mut ledgers = Vec::new();
    for group in topic.groups {
        if let Some(ledger) = Ledger::read(core, topic, group)? {
            ledgers.push((*group, ledger));
        }
    }
    let name = core.settings.topic_name(topic.name);
    // After the books, so that nothing is delivered that is not there.
    let spans = core.looker(LOOKER)?.spans(&name, partitions)?;
    overview.length = spans.iter().map(|span| span.len()).sum();
    let ends = spans.iter().map(|span| u64::try_from(span.to).unwrap_or(0));
    overview.published = ends.sum();
    for (number, (group, ledger)) in ledgers.iter().enumerate() {
        let beyond = Beyond::of(core, &name, ledger, &spans)?;
        if number == 0 {
            let holes: u64 = ledger.pages.iter().map(|page| page.main.counts.holes).sum();
            overview.published -= (holes + beyond.holes).min(overview.published);
        }
        let consumers = core
            .looker(group)?
            .members(&core.settings.group_name(group))?;
        overview.groups.push(GroupOverview {
            consumers: u64::try_from(consumers).unwrap_or(0),
            ..overview_of(group, ledger, &beyond)
        });
    }
    letters::count(core, topic, &mut overview)?;
    Ok(overview)
}

/// What lies beyond the books of a group.
struct Beyond {
    count: Count,
    holes: u64,
    by_partition: Vec<bool>,
    oldest_ms: Option<i64>,
}

impl Beyond {
    fn of(core: &Core, name: &str, ledger: &Ledger, spans: &[Span]) -> Result<Self, BusError> {
        let beyond: Vec<Span> = spans
            .iter()
            .zip(&ledger.pages)
            .map(|(span, page)| Span {
                from: page.main.end().max(span.from),
                ..*span
            })
            .collect();
        let offsets: u64 = beyond.iter().map(|span| span.len()).sum();
        let exact = offsets <= COUNTED_MAX;
        let mut found: HashMap<i32, u64> = HashMap::new();
        let mut oldest_ms: Option<i64> = None;
        core.looker(LOOKER)?.scan(name, &beyond, |record| {
            *found.entry(record.partition()).or_default() += 1;
            let at = record.timestamp().to_millis().unwrap_or_default();
            oldest_ms = Some(oldest_ms.map_or(at, |oldest| oldest.min(at)));
            if exact { Visit::On } else { Visit::Enough }
        })?;
        let counted: u64 = found.values().sum();
        let holes = if exact {
            offsets - counted.min(offsets)
        } else {
            0
        };
        Ok(Self {
            count: Count {
                count: offsets - holes,
                exact,
            },
            holes,
            by_partition: spans
                .iter()
                .map(|span| found.contains_key(&span.partition))
                .collect(),
            oldest_ms,
        })
    }
}

fn overview_of(group: &str, ledger: &Ledger, beyond: &Beyond) -> GroupOverview {
    let failed: u64 = ledger.pages.iter().map(Page::failed).sum();
    let main = |of: fn(&Page) -> u64| ledger.pages.iter().map(of).sum::<u64>();
    let retried_in_hand = main(|page| page.retry.in_hand());
    let oldest = ledger.pages.iter().filter_map(Page::oldest).min();
    let books = || {
        let pages = ledger.pages.iter();
        pages.flat_map(|page| [&page.main, &page.retry])
    };
    GroupOverview {
        name: group.to_owned(),
        consumers: 0,
        pending: main(|page| page.main.pending()) + failed,
        retrying: failed.saturating_sub(retried_in_hand),
        undelivered: Count {
            count: beyond.count.count + main(|page| page.main.untouched()),
            exact: beyond.count.exact,
        },
        done: ledger.sum(|book| book.counts.done),
        dead: ledger.sum(|book| book.counts.dead),
        vanished: ledger.sum(|book| book.counts.vanished),
        counted: books().all(|book| !book.uncounted),
        recreated: books().map(|book| book.recreated).max().unwrap_or(0),
        floor: ledger.floor(&beyond.by_partition),
        delivered_up_to: ledger.last(),
        oldest_undelivered_age: beyond.oldest_ms.map(age),
        oldest_pending_age: oldest.map(age_of),
    }
}

/// How long ago a message was published.
fn age_of(id: MessageId) -> Duration {
    age(i64::try_from(id.major).unwrap_or(i64::MAX))
}

fn age(at_ms: i64) -> Duration {
    let millis = now_ms().saturating_sub(at_ms);
    Duration::from_millis(u64::try_from(millis).unwrap_or(0))
}

/// The highest id up to which a group has settled everything.
pub(super) fn settled_up_to(
    core: &Core,
    topic: &TopicInfo,
    group: &str,
) -> Result<MessageId, BusError> {
    let Some(ledger) = Ledger::read(core, topic, group)? else {
        return Ok(MessageId::ZERO);
    };
    let name = core.settings.topic_name(topic.name);
    let partitions = i32::try_from(ledger.pages.len()).unwrap_or(0);
    let spans = core.looker(LOOKER)?.spans(&name, partitions)?;
    let ends = ledger.pages.iter().map(|page| page.main.end());
    let undelivered: Vec<bool> = spans.iter().zip(ends).map(|(s, end)| end < s.to).collect();
    Ok(ledger.floor(&undelivered))
}
