//! Watches on the bus what becomes of the events of a run.
//!
//! An event is finished when the last group has settled everything up to its place in the last
//! topic. The watcher reads that topic from its end on, in pages, no faster than it is worth: when
//! it falls behind for long it goes to the end again, and what it has not seen it does not judge.

mod elsewhere;
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
use unsettled::Unsettled;

/// The topic whose group finishes events, and that group.
const LAST: TopicInfo = EventsNormalized::INFO;
const LAST_GROUP: &str = groups::EVENT_PROCESSORS;
/// How often it looks. No latency is more exact.
const LOOK_INTERVAL: Duration = Duration::from_millis(5);
/// Messages that are read at once, and how long it rests after so many: 25,000 a second at most.
const PAGE: usize = 500;
const REST: Duration = Duration::from_millis(20);
/// So many full pages in a row, a second of them, are too far behind the end.
const FULL_PAGES_MAX: u32 = 50;
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
    /// Messages of the topic that were not looked at.
    pub(super) skipped: bool,
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
        let elsewhere = Elsewhere::begin(&bus).await.context(looking)?;
        Ok(Self {
            bus,
            run,
            position,
            at_the_end: true,
            full_pages: 0,
            looked_elsewhere: Instant::now(),
            unsettled: Unsettled::default(),
            skipped: false,
            finished: NumberSet::default(),
            elsewhere,
            latencies: Latencies::new(),
        })
    }

    /// Watches until all that was accepted is finished, or so long after the last answer.
    pub(super) async fn until_finished(
        &mut self,
        sending: &Sending,
        timeout: Duration,
    ) -> anyhow::Result<()> {
        loop {
            let pause = match self.look(sending).await {
                Ok(pause) => pause,
                // The workers wait for the server, too.
                Err(error) if error.is_unavailable() => REST,
                Err(error) => return Err(error).context("watching the bus"),
            };
            let (is_over, since) = {
                let state = sending.state();
                let is_over = state.over.is_some() && self.missing(&state.tally.accepted) == 0;
                (is_over, state.over)
            };
            if is_over || since.is_some_and(|since| since.elapsed() >= timeout) {
                // A message that is given up is settled, too.
                let last_look = self.elsewhere.look(&self.bus, self.run).await;
                return last_look.context("watching the bus");
            }
            tokio::time::sleep(pause).await;
        }
    }

    /// Events that got through.
    pub(super) fn got_through(&self) -> u64 {
        let elsewhere = self.elsewhere.numbers.iter();
        let both = elsewhere.filter(|number| self.finished.contains(*number));
        self.finished.len() - crate::bounded_lines::count(both.count())
    }

    /// Accepted events of which no end was seen, of those that can be judged.
    pub(super) fn missing(&self, accepted: &NumberSet) -> u64 {
        if self.skipped {
            return self.unsettled.len();
        }
        let ended = self.finished.len() + self.elsewhere.numbers.len();
        if ended < accepted.len() {
            return accepted.len() - ended;
        }
        crate::bounded_lines::count(self.lost(accepted).count())
    }

    /// Their numbers.
    pub(super) fn lost<'a>(&'a self, accepted: &'a NumberSet) -> impl Iterator<Item = u64> + 'a {
        let ended =
            |number: u64| self.finished.contains(number) || self.elsewhere.numbers.contains(number);
        accepted.iter().filter(move |number| !ended(*number))
    }

    /// One look; gives how long to rest.
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
            (self.skipped, self.at_the_end, self.full_pages) = (true, true, 0);
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
