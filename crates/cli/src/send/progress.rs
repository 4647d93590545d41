//! How sending goes, on stderr: a bar on a terminal, else a line now and then.

use std::io::{self, IsTerminal as _};
use std::time::{Duration, Instant};

use indicatif::{ProgressDrawTarget, ProgressStyle};

use super::resume::Progress;
use crate::output::{grouped, note};

/// How often a line is printed where there is no terminal.
const LINE_INTERVAL: Duration = Duration::from_secs(5);
const FILE_TEMPLATE: &str = "{bar:30} {bytes} of {total_bytes}, {eta} left, {wide_msg}";
const STREAM_TEMPLATE: &str = "{spinner} {bytes}, {wide_msg}";

/// Shows progress.
#[derive(Debug)]
pub(super) struct ProgressBar {
    bar: Option<indicatif::ProgressBar>,
    length: Option<u64>,
    started: Instant,
    sent_before: u64,
    last_line: Instant,
}

impl ProgressBar {
    /// For an input of that length, if it is known, of which some was sent before.
    pub(super) fn new(length: Option<u64>, before: &Progress) -> Self {
        let bar = io::stderr().is_terminal().then(|| {
            let bar =
                indicatif::ProgressBar::with_draw_target(length, ProgressDrawTarget::stderr());
            let template = if length.is_some() {
                FILE_TEMPLATE
            } else {
                STREAM_TEMPLATE
            };
            if let Ok(style) = ProgressStyle::with_template(template) {
                bar.set_style(style);
            }
            bar.set_position(before.place.bytes);
            bar.reset_eta();
            bar
        });
        let started = Instant::now();
        let sent_before = before.counts.sent();
        Self {
            bar,
            length,
            started,
            sent_before,
            last_line: started,
        }
    }

    /// Shows how far it is, and why it does not go on.
    pub(super) fn update(&mut self, progress: &Progress, trouble: Option<String>) {
        if self.bar.is_none() && self.last_line.elapsed() < LINE_INTERVAL {
            return;
        }
        let events = grouped(progress.counts.sent());
        let rate = grouped(self.rate(progress));
        let trouble = trouble
            .map(|why| format!("; waiting: {why}"))
            .unwrap_or_default();
        let message = format!("{events} events, {rate}/s{trouble}");
        if let Some(bar) = &self.bar {
            bar.set_message(message);
            bar.set_position(progress.place.bytes);
            return;
        }
        self.last_line = Instant::now();
        let percent = self.length.map(|length| {
            let percent = progress.place.bytes.saturating_mul(100) / length.max(1);
            format!("{percent} %, ")
        });
        note(&format!("{}{message}", percent.unwrap_or_default()));
    }

    /// Prints something without the bar in between.
    pub(super) fn above<R>(&self, print: impl FnOnce() -> R) -> R {
        match &self.bar {
            Some(bar) => bar.suspend(print),
            None => print(),
        }
    }

    /// Takes the bar away.
    pub(super) fn end(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
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
