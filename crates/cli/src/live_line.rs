//! How long work goes, on stderr: a bar on a terminal, else a line now and then.

use std::io::{self, IsTerminal as _};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::output::note;

/// How often a line is printed where there is no terminal.
const LINE_INTERVAL: Duration = Duration::from_secs(5);

/// Shows progress.
#[derive(Debug)]
pub(crate) struct LiveLine {
    bar: Option<ProgressBar>,
    total: Option<u64>,
    last_line: Instant,
}

impl LiveLine {
    /// For work of that size, if it is known, of which some was done before. The template is that
    /// of a bar.
    pub(crate) fn new(total: Option<u64>, done: u64, template: &str) -> Self {
        let bar = io::stderr().is_terminal().then(|| {
            let bar = ProgressBar::with_draw_target(total, ProgressDrawTarget::stderr());
            if let Ok(style) = ProgressStyle::with_template(template) {
                bar.set_style(style);
            }
            bar.set_position(done);
            bar.reset_eta();
            bar
        });
        Self {
            bar,
            total,
            last_line: Instant::now(),
        }
    }

    /// Shows how far it is, if it is time to.
    pub(crate) fn update(&mut self, done: u64, message: impl FnOnce() -> String) {
        if let Some(bar) = &self.bar {
            bar.set_message(message());
            bar.set_position(done);
            return;
        }
        if self.last_line.elapsed() < LINE_INTERVAL {
            return;
        }
        self.last_line = Instant::now();
        let percent = self.total.map(|total| {
            let percent = done.saturating_mul(100) / total.max(1);
            format!("{percent} %, ")
        });
        note(&format!("{}{}", percent.unwrap_or_default(), message()));
    }

    /// Prints something without the bar in between.
    pub(crate) fn above<R>(&self, print: impl FnOnce() -> R) -> R {
        match &self.bar {
            Some(bar) => bar.suspend(print),
            None => print(),
        }
    }

    /// Takes the bar away.
    pub(crate) fn end(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
