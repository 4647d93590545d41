//! What was found: a table for people, and JSON.

use std::io::Write as _;
use std::path::Path;

use anyhow::{Context as _, Result};
use comfy_table::{CellAlignment, Table};
use serde::Serialize;

use crate::measure::{Sample, Spread, Turns};

/// One measured thing.
#[derive(Debug, Serialize)]
pub(crate) struct Row {
    pub(crate) bench: &'static str,
    pub(crate) persistence: &'static str,
    pub(crate) unit: &'static str,
    /// The bare limit of the same machine in the same run, where there is one.
    pub(crate) limit: Option<Figures>,
    pub(crate) ours: Figures,
    /// Ours divided by the limit, turn by turn.
    pub(crate) ratio: Option<Spread>,
    pub(crate) target: Option<Target>,
}

/// What was measured of one contender.
#[derive(Debug, Serialize)]
pub(crate) struct Figures {
    pub(crate) value: Spread,
    /// Medians, in CPU seconds per million messages, of the program and of the servers behind it.
    pub(crate) cpu: Option<(f64, f64)>,
}

/// What is asked for.
#[derive(Debug, Clone, Copy, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Target {
    RatioAtLeast(f64),
    RatioAtMost(f64),
    ValueAtMost(f64),
}

impl Figures {
    pub(crate) fn of_samples(samples: &[Sample]) -> Self {
        let median = |figure: fn(&Sample) -> f64| Spread::of(samples.iter().map(figure)).median;
        Self {
            value: Spread::of(samples.iter().map(|sample| sample.rate)),
            cpu: Some((
                median(|sample| sample.program_cpu),
                median(|sample| sample.server_cpu),
            )),
        }
    }

    pub(crate) fn of_values(values: impl IntoIterator<Item = f64>) -> Self {
        Self {
            value: Spread::of(values),
            cpu: None,
        }
    }
}

impl Row {
    /// A rate beside its limit.
    pub(crate) fn of_turns(
        bench: &'static str,
        persistence: &'static str,
        turns: &Turns,
        ratio_min: f64,
    ) -> Self {
        Self {
            bench,
            persistence,
            unit: "messages/s",
            limit: Some(Figures::of_samples(&turns.limit)),
            ours: Figures::of_samples(&turns.ours),
            ratio: Some(turns.ratio()),
            target: Some(Target::RatioAtLeast(ratio_min)),
        }
    }

    fn is_met(&self) -> Option<bool> {
        let ratio = self.ratio.map(|ratio| ratio.median);
        match self.target? {
            Target::RatioAtLeast(least) => Some(ratio? >= least),
            Target::RatioAtMost(most) => Some(ratio? <= most),
            Target::ValueAtMost(most) => Some(self.ours.value.median <= most),
        }
    }

    fn cells(&self) -> Vec<String> {
        let figures = |figures: &Figures| spread(figures.value);
        let cpu = |figures: &Figures| {
            let (program, server) = figures.cpu?;
            Some(format!("{program:.1} + {server:.1}"))
        };
        let target = self.target.map(|target| match target {
            Target::RatioAtLeast(least) => format!("≥ {least}"),
            Target::RatioAtMost(most) => format!("≤ {most} ×"),
            Target::ValueAtMost(most) => format!("≤ {most}"),
        });
        let met = self.is_met().map(|met| if met { "yes" } else { "NO" });
        vec![
            self.bench.to_owned(),
            self.persistence.to_owned(),
            self.unit.to_owned(),
            self.limit.as_ref().map(figures).unwrap_or_default(),
            figures(&self.ours),
            self.ratio.map(spread).unwrap_or_default(),
            target.unwrap_or_default(),
            met.unwrap_or_default().to_owned(),
            self.limit.as_ref().and_then(cpu).unwrap_or_default(),
            cpu(&self.ours).unwrap_or_default(),
        ]
    }
}

/// The median, and the smallest and largest in brackets.
fn spread(spread: Spread) -> String {
    let [median, min, max] = [spread.median, spread.min, spread.max].map(short);
    format!("{median} ({min}–{max})")
}

fn short(figure: f64) -> String {
    match figure {
        thousands if thousands >= 10_000.0 => format!("{:.0} K", thousands / 1_000.0),
        thousands if thousands >= 1_000.0 => format!("{:.1} K", thousands / 1_000.0),
        tens if tens >= 10.0 => format!("{tens:.0}"),
        few => format!("{few:.2}"),
    }
}

const COLUMNS: [&str; 10] = [
    "bench",
    "persistence",
    "unit",
    "limit",
    "Millrace",
    "ratio",
    "target",
    "met",
    "CPU s/M: limit + redis",
    "Millrace + redis",
];

/// Prints the table, and writes the rows to a file.
pub(crate) fn publish(rows: &[Row], path: &Path) -> Result<()> {
    let mut table = Table::new();
    table.load_style(comfy_table::presets::UTF8_HORIZONTAL_ONLY);
    table.set_header(COLUMNS);
    for column in table.column_iter_mut().skip(3) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table.add_rows(rows.iter().map(Row::cells));
    writeln!(std::io::stdout(), "{}", table.trim_fmt())?;
    let json = serde_json::to_vec_pretty(rows)?;
    std::fs::write(path, json).with_context(|| format!("writing {}", path.display()))
}
