//! How sending goes.

use std::time::{Duration, Instant};

use super::resume::Progress;
use crate::live_line::LiveLine;
use crate::output::grouped;

const FILE_TEMPLATE: &str = "{bar:30} {bytes} of {total_bytes}, {eta} left, {wide_msg}";
const STREAM_TEMPLATE: &str = "{spinner} {bytes}, {wide_msg}";

/// Shows progress.
#[derive(Debug)]
pub(super) struct ProgressBar {
    line: LiveLine,
    started: Instant,
    sent_before: u64,
}

impl ProgressBar {
    /// For an input of that length, if it is known, of which some was sent before.
    pub(super) fn new(length: Option<u64>, before: &Progress) -> Self {
        let template = if length.is_some() {
            FILE_TEMPLATE
        } else {
            STREAM_TEMPLATE
        };
        Self {
            line: LiveLine::new(length, before.place.bytes, template),
            started: Instant::now(),
            sent_before: before.counts.sent(),
        }
    }

    /// Shows how far it is, and why it does not go on.
    pub(super) fn update(&mut self, progress: &Progress, trouble: Option<String>) {
        let events = grouped(progress.counts.sent());
        let rate = grouped(self.rate(progress));
        self.line.update(progress.place.bytes, || {
            let trouble = trouble
                .map(|why| format!("; waiting: {why}"))
                .unwrap_or_default();
            format!("{events} events, {rate}/s{trouble}")
        });
    }

    /// Prints something without the bar in between.
    pub(super) fn above<R>(&self, print: impl FnOnce() -> R) -> R {
        self.line.above(print)
    }

    /// Takes the bar away.
    pub(super) fn end(&self) {
        self.line.end();
    }

    /// How long this run has taken.
    pub(super) fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }

    /// Events of this run per second.
    pub(super) fn rate(&self, progress: &Progress) -> u64 {
        let sent = progress.counts.sent().saturating_sub(self.sent_before);
        let millis = u64::try_from(self.elapsed().as_millis()).unwrap_or(u64::MAX);
        sent.saturating_mul(1_000) / millis.max(1)
    }
}
