//! Time as the wire and the stores keep it: milliseconds since the Unix epoch, in UTC.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use jiff::Timestamp;
use jiff::tz::TimeZone;

/// Milliseconds since 1970-01-01T00:00:00Z. Written as RFC 3339 with three decimals and `Z`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct UnixMillis(pub i64);

/// A text that is no RFC 3339 time stamp.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not an RFC 3339 time stamp")]
pub struct InvalidTimestamp;

/// Milliseconds in a minute.
pub const MINUTE_MS: i64 = 60_000;
/// Milliseconds in an hour.
pub const HOUR_MS: i64 = 60 * MINUTE_MS;
/// Milliseconds in a day.
pub const DAY_MS: i64 = 24 * HOUR_MS;

/// Tells the time. Code that asks for it takes one, so that tests own time.
pub trait Clock: fmt::Debug + Send + Sync {
    /// The time now.
    fn now(&self) -> UnixMillis;
}

impl UnixMillis {
    /// Whole days since the epoch, in UTC; negative before it.
    pub fn epoch_day(self) -> i64 {
        self.0.div_euclid(DAY_MS)
    }

    /// The start of the interval of `length_ms` that this moment lies in.
    #[must_use]
    pub fn floor(self, length_ms: i64) -> Self {
        Self(self.0.div_euclid(length_ms) * length_ms)
    }

    /// This moment moved by a duration into the past; durations beyond 292 million years saturate.
    #[must_use]
    pub fn minus(self, duration: Duration) -> Self {
        let millis = i64::try_from(duration.as_millis()).unwrap_or(i64::MAX);
        Self(self.0.saturating_sub(millis))
    }
}

impl fmt::Display for UnixMillis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Ok(timestamp) = Timestamp::from_millisecond(self.0) else {
            return Err(fmt::Error);
        };
        let time = TimeZone::UTC.to_datetime(timestamp);
        write!(
            f,
            "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z",
            time.year(),
            time.month(),
            time.day(),
            time.hour(),
            time.minute(),
            time.second(),
            time.millisecond()
        )
    }
}

impl FromStr for UnixMillis {
    type Err = InvalidTimestamp;

    fn from_str(text: &str) -> Result<Self, InvalidTimestamp> {
        let timestamp: Timestamp = text.parse().map_err(|_| InvalidTimestamp)?;
        Ok(Self(timestamp.as_millisecond()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_stamps_print_in_utc_with_milliseconds_and_read_back() {
        for (text, printed) in [
            ("1997-01-01T00:00:00Z", "1997-01-01T00:00:00.000Z"),
            ("2026-11-20T13:04:05.6789+02:00", "2026-11-20T11:04:05.678Z"),
            ("1969-12-31T23:59:59.999Z", "1969-12-31T23:59:59.999Z"),
        ] {
            let parsed: UnixMillis = text.parse().expect(text);
            assert_eq!(parsed.to_string(), printed);
            assert_eq!(printed.parse(), Ok(parsed));
        }
        assert_eq!("yesterday".parse::<UnixMillis>(), Err(InvalidTimestamp));
    }

    #[test]
    fn days_and_intervals_round_down_also_before_the_epoch() {
        assert_eq!(UnixMillis(-1).epoch_day(), -1);
        assert_eq!(UnixMillis(DAY_MS).epoch_day(), 1);
        assert_eq!(UnixMillis(-1).floor(MINUTE_MS), UnixMillis(-MINUTE_MS));
    }
}
