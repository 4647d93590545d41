//! The table of what every fault came to.

use std::fmt::Write as _;
use std::io::Write as _;
use std::time::Duration;

use crate::findings::Findings;

/// One fault and what came of it.
#[derive(Debug, Clone)]
pub(crate) struct Row {
    pub(crate) fault: String,
    pub(crate) accepted: i64,
    pub(crate) findings: Findings,
    /// From the end of the fault until everything was done.
    pub(crate) recovery: Duration,
    /// Why the fault could not be brought about or the result not be read.
    pub(crate) failure: Option<String>,
}

impl Row {
    pub(crate) fn is_clean(&self) -> bool {
        let Findings {
            lost,
            doubled,
            stuck,
            dead,
            difference,
            ..
        } = self.findings;
        let wrong = lost != 0 || doubled != 0 || stuck + dead + difference != 0;
        !wrong && self.failure.is_none() && self.accepted > 0
    }
}

/// Says something at once, whatever the test harness keeps to itself.
pub(crate) fn say(text: &str) {
    // When stderr is gone there is nobody left to tell.
    writeln!(std::io::stderr(), "{text}").ok();
}

/// The table, one line for each fault, and below it what is wrong.
pub(crate) fn table(title: &str, rows: &[Row]) -> String {
    let mut text = format!(
        "\n{title}\n{:<58} {:>8} {:>6} {:>7} {:>6} {:>6} {:>10} {:>9}\n",
        "fault", "accepted", "lost", "doubled", "stuck", "dead", "difference", "recovery"
    );
    for row in rows {
        let Findings {
            lost,
            doubled,
            stuck,
            dead,
            difference,
            ..
        } = row.findings;
        let mark = if row.is_clean() { "" } else { "  <<<" };
        let recovery = format!("{:.2} s", row.recovery.as_secs_f64());
        // Writing to a text cannot fail.
        writeln!(
            text,
            "{:<58} {:>8} {lost:>6} {doubled:>7} {stuck:>6} {dead:>6} {difference:>10} {recovery:>9}{mark}",
            row.fault, row.accepted
        )
        .ok();
    }
    for row in rows.iter().filter(|row| !row.is_clean()) {
        let failure = row.failure.as_deref().unwrap_or("not clean");
        writeln!(text, "\n{}: {failure}", row.fault).ok();
        for note in &row.findings.notes {
            writeln!(text, "    {note}").ok();
        }
    }
    text
}
