//! Watches on the bus what becomes of the events of a run.
//!
//! An event is finished when the last group has settled everything up to its place in the last
//! topic. The watcher reads that topic from its end on, in pages, no faster than it is worth: when
//! it falls behind for long it goes to the end again, and what it has not read it does not judge.
//! How much that is, the topic's own count of messages tells.

mod elsewhere;
mod flow;
mod unsettled;

use std::time::{Duration, Instant};

use anyhow::Context as _;
use bus::{Bus, BusError, MessageId};
use common::Topic as _;
use common::topics::{EventsNormalized, TopicInfo, groups};

use super::latency::Latencies;
use super::number_set::NumberSet;
use super::run_ids::Run;
use super::sending::Sending;
use crate::event_id::event_id_of;
pub(super) use elsewhere::Elsewhere;
use flow::Flow;
use unsettled::Unsettled;

/// The topic whose group finishes events, and that group.
const LAST: TopicInfo = EventsNormalized::INFO;
const LAST_GROUP: &str = groups::EVENT_PROCESSORS;
/// How often it looks. No latency is more exact.
const LOOK_INTERVAL: Duration = Duration::from_millis(5);
/// Messages that are read at once, and how long it rests after so many: 50,000 a second at most.
const PAGE: usize = 500;
const REST: Duration = Duration::from_millis(10);
/// So many full pages in a row, a second of them, are too far behind the end.
const FULL_PAGES_MAX: u32 = 100;
/// How often it reads to the end to count what it has not read: others may publish meanwhile.
const COUNTS_MAX: u32 = 5;
/// How often it looks where events end that do not get through.
const ELSEWHERE_INTERVAL: Duration = Duration::from_millis(500);

/// Watches.
pub(super) struct Watch {
    bus: Bus,
    run: Run,
    /// Up to here the topic was read.
    position: MessageId,
    /// Whether the last page ended at the end of the topic: what comes next came since.
    at_the_end: bool,
    full_pages: u32,
    looked_elsewhere: Instant,
    unsettled: Unsettled,
    /// Messages that the topic ever had at the beginning, and those that were read since.
    published: u64,
    read: u64,
    flow: Flow,
    /// Messages that passed unread: of these nobody knows whose they are.
    pub(super) unread: u64,
    /// Messages of anybody that were still on their way at the end.
    open: u64,
    /// Events that the last group has settled.
    finished: NumberSet,
    /// Events that ended elsewhere.
    pub(super) elsewhere: Elsewhere,
    /// From when the event was due until it was seen to be finished.
    pub(super) latencies: Latencies,
}

impl Watch {
    /// Begins at the end of the topics.
    pub(super) async fn begin(bus: Bus, run: Run) -> anyhow::Result<Self> {
        let looking = "looking at the bus (--no-end-to-end does without)";
        let position = newest(&bus, LAST.name).await.context(looking)?;
        let published = bus.overview(&LAST).await.context(looking)?.published;
        let elsewhere = Elsewhere::begin(&bus).await.context(looking)?;
        Ok(Self {
            bus,
            run,
            position,
            at_the_end: true,
            full_pages: 0,
            looked_elsewhere: Instant::now(),
            unsettled: Unsettled::default(),
            published,
            read: 0,
            flow: Flow::default(),
            unread: 0,
            open: 0,
            finished: NumberSet::default(),
            elsewhere,
            latencies: Latencies::new(),
        })
    }

    /// Watches until all that was accepted is finished, until nothing is on its way any more, or so
    /// long after the last answer.
    pub(super) async fn until_finished(
        &mut self,
        sending: &Sending,
        timeout: Duration,
    ) -> anyhow::Result<()> {
        loop {
            let (is_over, pause) = match self.is_over(sending).await {
                Ok(looked) => looked,
                // The workers wait for the server, too.
                Err(error) if error.is_unavailable() => (false, REST),
                Err(error) => return Err(error).context("watching the bus"),
            };
            let since = sending.state().over;
            if is_over || since.is_some_and(|since| since.elapsed() >= timeout) {
                let concluded = self.conclude(sending).await;
                return concluded.context("watching the bus");
            }
            tokio::time::sleep(pause).await;
        }
    }

    /// One look; gives whether it was the last, and how long to rest.
    async fn is_over(&mut self, sending: &Sending) -> Result<(bool, Duration), BusError> {
        let pause = self.look(sending).await?;
        let ended = self.finished.len() + self.elsewhere.numbers.len();
        sending.seen(ended);
        {
            let state = sending.state();
            if state.over.is_none() {
                return Ok((false, pause));
            }
            let accepted = &state.tally.accepted;
            if ended >= accepted.len() && self.lost(accepted).next().is_none() {
                return Ok((true, pause));
            }
        }
        let is_settled = self.flow.is_settled(&self.bus).await?;
        let is_read = self.flow.end().is_some_and(|end| self.position >= end);
        Ok((is_settled && is_read && self.unsettled.is_empty(), pause))
    }

    /// A last look at what was not read or not settled.
    async fn conclude(&mut self, sending: &Sending) -> Result<(), BusError> {
        // A message that is given up is settled, too.
        self.elsewhere.look(&self.bus, self.run).await?;
        for _ in 0..COUNTS_MAX {
            let published = self.bus.overview(&LAST).await?.published;
            let came = published.saturating_sub(self.published);
            self.unread = came.saturating_sub(self.read);
            if self.unread == 0 {
                break;
            }
            self.look(sending).await?;
        }
        self.open = Flow::open(&self.bus).await?;
        Ok(())
    }

    /// Events that got through.
    pub(super) fn got_through(&self) -> u64 {
        let elsewhere = self.elsewhere.numbers.iter();
        let both = elsewhere.filter(|number| self.finished.contains(*number));
        self.finished.len() - crate::bounded_lines::count(both.count())
    }

    /// Accepted events of which no end was seen and that did not pass unread.
    pub(super) fn missing(&self, accepted: &NumberSet) -> u64 {
        let unseen = crate::bounded_lines::count(self.lost(accepted).count());
        let on_their_way = if self.unread > 0 {
            self.open.min(unseen)
        } else {
            0
        };
        unseen.saturating_sub(self.unread).max(on_their_way)
    }

    /// The numbers of accepted events of which no end was seen.
    pub(super) fn lost<'a>(&'a self, accepted: &'a NumberSet) -> impl Iterator<Item = u64> + 'a {
        let ended =
            |number: u64| self.finished.contains(number) || self.elsewhere.numbers.contains(number);
        accepted.iter().filter(move |number| !ended(*number))
    }

    /// Reads what is new; gives how long to rest.
    async fn look(&mut self, sending: &Sending) -> Result<Duration, BusError> {
        let settled = self.bus.settled_up_to(&LAST, LAST_GROUP).await?;
        self.settle(settled);
        if self.looked_elsewhere.elapsed() >= ELSEWHERE_INTERVAL {
            self.looked_elsewhere = Instant::now();
            self.elsewhere.look(&self.bus, self.run).await?;
        }
        if self.unsettled.is_full() {
            return Ok(REST);
        }
        let page = self
            .bus
            .range(LAST.name, self.position.next(), PAGE)
            .await?;
        let is_full = page.len() == PAGE;
        self.read += crate::bounded_lines::count(page.len());
        for message in &page {
            self.position = message.id;
            let event = event_id_of(&message.fields);
            let Some(number) = event.and_then(|event| self.run.number_of(event)) else {
                continue;
            };
            let due = sending.state().due_times.of(number);
            self.unsettled
                .push(message.id, number, due.filter(|_| self.at_the_end));
        }
        self.settle(settled);
        self.at_the_end = !is_full;
        self.full_pages = if is_full { self.full_pages + 1 } else { 0 };
        if self.full_pages >= FULL_PAGES_MAX {
            self.position = newest(&self.bus, LAST.name).await?;
            (self.at_the_end, self.full_pages) = (true, 0);
        }
        Ok(if is_full { REST } else { LOOK_INTERVAL })
    }

    fn settle(&mut self, up_to: MessageId) {
        let now = Instant::now();
        while let Some((number, due)) = self.unsettled.pop(up_to) {
            // An event that was normalised twice is finished once.
            if self.finished.insert(number)
                && let Some(due) = due
            {
                self.latencies.record(now.saturating_duration_since(due), 1);
            }
        }
    }
}

/// The id of the last message of a stream.
async fn newest(bus: &Bus, stream: &str) -> Result<MessageId, BusError> {
    let last = bus.range_back(stream, MessageId::MAX, 1).await?;
    Ok(last.first().map_or(MessageId::ZERO, |message| message.id))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use worker::SystemClock;

    use super::*;

    #[tokio::test]
    async fn what_passed_unread_is_not_taken_for_lost_unless_it_is_still_on_its_way() {
        let bus = Bus::in_memory(Arc::new(SystemClock));
        let mut watch = Watch::begin(bus, Run::new()).await.expect("it begins");
        let (mut accepted, mut finished) = (NumberSet::default(), NumberSet::default());
        (1..=5).for_each(|number| assert!(accepted.insert(number)));
        (1..=2).for_each(|number| assert!(finished.insert(number)));
        watch.finished = finished;
        for ((unread, open), expected) in [
            // Everything was read: what was not seen is lost, whatever others have on their way.
            ((0, 0), 3),
            ((0, 9), 3),
            ((2, 0), 1),
            ((9, 0), 0),
            ((9, 1), 1),
            ((9, 9), 3),
        ] {
            (watch.unread, watch.open) = (unread, open);
            assert_eq!(
                watch.missing(&accepted),
                expected,
                "{unread} unread, {open} open"
            );
        }
    }
}
