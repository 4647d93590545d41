//! Latencies, kept as a histogram: whatever their number, a few hundred kilobytes.

use std::time::Duration;

use hdrhistogram::Histogram;
use serde::Serialize;

/// The longest latency that is told from longer ones, in microseconds: an hour.
const LONGEST_US: u64 = 3_600_000_000;
const MILLION: f64 = 1_000_000.0;
/// Decimal digits that are kept.
const DIGITS: u8 = 3;

/// Latencies.
#[derive(Debug)]
pub(super) struct Latencies(Option<Histogram<u64>>);

/// What they come to, in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(super) struct Percentiles {
    pub(super) count: u64,
    pub(super) p50: f64,
    pub(super) p90: f64,
    pub(super) p99: f64,
    #[serde(rename = "p99.9")]
    pub(super) p999: f64,
    pub(super) max: f64,
}

impl Latencies {
    pub(super) fn new() -> Self {
        // The bounds are constants that the histogram allows.
        Self(Histogram::new_with_bounds(1, LONGEST_US, DIGITS).ok())
    }

    /// Adds the latency of so many events.
    pub(super) fn record(&mut self, latency: Duration, events: u64) {
        let micros = u64::try_from(latency.as_micros()).unwrap_or(LONGEST_US);
        if let Some(histogram) = &mut self.0 {
            histogram.saturating_record_n(micros.clamp(1, LONGEST_US), events);
        }
    }

    /// `None` when there are none.
    pub(super) fn percentiles(&self) -> Option<Percentiles> {
        let histogram = self.0.as_ref().filter(|histogram| !histogram.is_empty())?;
        let at = |quantile: f64| millis(histogram.value_at_quantile(quantile).min(histogram.max()));
        Some(Percentiles {
            count: histogram.len(),
            p50: at(0.5),
            p90: at(0.9),
            p99: at(0.99),
            p999: at(0.999),
            max: millis(histogram.max()),
        })
    }
}

impl Percentiles {
    /// The cells of a table, in milliseconds.
    pub(super) fn cells(&self) -> [String; 5] {
        [self.p50, self.p90, self.p99, self.p999, self.max].map(show)
    }
}

/// Three or four digits, in seconds from ten on.
fn show(millis: f64) -> String {
    match millis {
        ..10.0 => format!("{millis:.2} ms"),
        ..100.0 => format!("{millis:.1} ms"),
        ..10_000.0 => format!("{millis:.0} ms"),
        _ => format!("{:.1} s", millis / 1_000.0),
    }
}

/// Rounded last, so that three decimals stay three decimals.
fn millis(micros: u64) -> f64 {
    (Duration::from_micros(micros).as_secs_f64() * MILLION).round() / 1_000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_of_events_and_not_of_requests() {
        let mut latencies = Latencies::new();
        assert_eq!(latencies.percentiles(), None);
        latencies.record(Duration::from_millis(2), 990);
        latencies.record(Duration::from_millis(700), 10);
        let percentiles = latencies.percentiles().expect("some");
        assert_eq!(percentiles.count, 1_000);
        assert_eq!(
            percentiles.cells().map(|cell| cell.replace("2.00", "2.0")),
            ["2.0 ms", "2.0 ms", "2.0 ms", "700 ms", "700 ms"]
        );
    }

    #[test]
    fn latencies_are_shown_with_three_or_four_digits() {
        for (millis, expected) in [
            (0.123, "0.12 ms"),
            (12.34, "12.3 ms"),
            (1_234.5, "1234 ms"),
            (24_117.0, "24.1 s"),
        ] {
            assert_eq!(show(millis), expected);
        }
    }

    #[test]
    fn latencies_beyond_every_bound_are_kept_at_the_bound() {
        let mut latencies = Latencies::new();
        latencies.record(Duration::ZERO, 1);
        latencies.record(Duration::MAX, 1);
        let percentiles = latencies.percentiles().expect("some");
        assert_eq!(percentiles.count, 2);
        assert!(percentiles.max > 3_500_000.0, "{}", percentiles.max);
    }
}
