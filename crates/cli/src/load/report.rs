//! What a run came to, for people and as JSON.

use std::collections::BTreeMap;
use std::io;

use serde::Serialize;

use super::latency::Percentiles;
use super::run_ids::Run;
use super::sending::Sending;
use super::watch::Watch;
use crate::output::{Column, Output, grouped};

/// Lost events that are named.
const LOST_SHOWN: usize = 20;

const COLUMNS: &[Column] = &[
    Column::left("latency"),
    Column::right("p50"),
    Column::right("p90"),
    Column::right("p99"),
    Column::right("p99.9"),
    Column::right("max"),
];

/// How a run was set up.
#[derive(Debug, Clone, Copy, Serialize)]
pub(super) struct Setup {
    pub(super) seed: u64,
    pub(super) rate: Option<u32>,
    pub(super) batch: u16,
    pub(super) connections: u16,
}

/// A run.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    run: String,
    #[serde(flatten)]
    setup: Setup,
    /// Events in all requests.
    sent: u64,
    /// Of these, sent again on purpose.
    sent_again: u64,
    /// Events that the rate asked for and nobody had time for.
    not_sent_in_time: u64,
    accepted: u64,
    duplicate: u64,
    rejected: u64,
    rejected_by_reason: BTreeMap<String, u64>,
    /// Sent, and the answer never came.
    unanswered: u64,
    /// Requests that were sent again because they were not answered.
    requests_retried: u64,
    seconds: f64,
    events_per_second: u64,
    http_ms: Option<Percentiles>,
    end_to_end: Option<EndToEnd>,
}

/// What became of accepted events.
#[derive(Debug, Serialize)]
struct EndToEnd {
    /// Different events that were accepted.
    accepted: u64,
    finished: u64,
    rejected_later: u64,
    dead: u64,
    lost: u64,
    lost_events: Vec<String>,
    /// Too much came to look at all of it: the numbers are of a sample.
    sampled: bool,
    latency_ms: Option<Percentiles>,
}

impl Report {
    pub(super) fn of(run: Run, setup: Setup, sending: &Sending, watch: Option<&Watch>) -> Self {
        let state = sending.state();
        let tally = &state.tally;
        let (requests_retried, _) = sending.trouble();
        let seconds = tally.elapsed().as_secs_f64();
        let end_to_end = watch.map(|watch| EndToEnd {
            accepted: tally.accepted.len(),
            finished: watch.got_through(),
            rejected_later: watch.elsewhere.rejected,
            dead: watch.elsewhere.dead,
            lost: watch.missing(&tally.accepted),
            lost_events: lost_events(run, sending, watch),
            sampled: watch.unread > 0,
            latency_ms: watch.latencies.percentiles(),
        });
        Self {
            run: run.to_string(),
            setup,
            sent: tally.sent,
            sent_again: tally.sent_again,
            not_sent_in_time: sending.not_sent_in_time(),
            accepted: tally.counts.accepted,
            duplicate: tally.counts.duplicate,
            rejected: tally.counts.rejected,
            rejected_by_reason: tally.reasons.clone(),
            unanswered: tally.sent.saturating_sub(tally.counts.sent()),
            requests_retried,
            seconds: (seconds * 1_000.0).round() / 1_000.0,
            events_per_second: tally.rate(),
            http_ms: tally.answers.percentiles(),
            end_to_end,
        }
    }

    /// Whether every accepted event got through.
    pub(super) fn is_good(&self) -> bool {
        let watched = self.end_to_end.as_ref();
        watched.is_none_or(|watched| watched.lost == 0 && watched.dead == 0)
    }

    pub(super) fn print(&self) -> io::Result<()> {
        let mut output = Output::stdout();
        for line in self.lines() {
            output.line(&line)?;
        }
        let rows = [
            ("HTTP answer", self.http_ms),
            (
                "end to end",
                self.end_to_end.as_ref().and_then(|it| it.latency_ms),
            ),
        ];
        let rows: Vec<Vec<String>> = rows
            .into_iter()
            .filter_map(|(name, percentiles)| {
                let cells = percentiles?.cells();
                Some([&[name.to_owned()][..], &cells].concat())
            })
            .collect();
        if rows.is_empty() {
            return Ok(());
        }
        output.table(COLUMNS, rows)
    }

    fn lines(&self) -> Vec<String> {
        let mut lines = vec![
            format!(
                "sent {} events in {:.1} s, {} events/s: run {}, seed {}",
                grouped(self.sent),
                self.seconds,
                grouped(self.events_per_second),
                self.run,
                self.setup.seed
            ),
            format!(
                "{} accepted, {} duplicate ({} sent again), {} rejected, {} unanswered, {} requests \
                 retried",
                grouped(self.accepted),
                grouped(self.duplicate),
                grouped(self.sent_again),
                grouped(self.rejected),
                grouped(self.unanswered),
                grouped(self.requests_retried)
            ),
        ];
        let reasons = self.rejected_by_reason.iter();
        lines.extend(
            reasons.map(|(reason, count)| format!("rejected, {reason}: {}", grouped(*count))),
        );
        if self.not_sent_in_time > 0 {
            lines.push(format!(
                "{} more should have been sent at this rate: the service or the connections are \
                 too slow for it",
                grouped(self.not_sent_in_time)
            ));
        }
        if let Some(watched) = &self.end_to_end {
            lines.extend(watched.lines());
        }
        lines
    }
}

impl EndToEnd {
    fn lines(&self) -> Vec<String> {
        let sampled = if self.sampled {
            " (those looked at)"
        } else {
            ""
        };
        let mut lines = vec![format!(
            "{} different events accepted, {} finished{sampled}",
            grouped(self.accepted),
            grouped(self.finished)
        )];
        for (count, what) in [
            (self.rejected_later, "rejected after they were accepted"),
            (self.dead, "became dead letters: see `millrace dead`"),
        ] {
            if count > 0 {
                lines.push(format!("{} {what}", grouped(count)));
            }
        }
        if self.lost > 0 {
            lines.push(format!(
                "LOST or late: {} accepted events did not get through in time",
                grouped(self.lost)
            ));
            let named = self.lost_events.iter();
            lines.extend(named.map(|event| format!("  {event}: see `millrace trace {event}`")));
        }
        lines
    }
}

/// The first of them. Of a sample nobody knows which.
fn lost_events(run: Run, sending: &Sending, watch: &Watch) -> Vec<String> {
    if watch.unread > 0 {
        return Vec::new();
    }
    let state = sending.state();
    let lost = watch.lost(&state.tally.accepted).take(LOST_SHOWN);
    lost.map(|number| run.event_id(number).to_string())
        .collect()
}
