//! When an event happened, as senders write it.

use common::UnixMillis;
use common::time::{DAY_MS, HOUR_MS};
use jiff::fmt::temporal::Pieces;
use rust_decimal::Decimal;
use rust_decimal::prelude::ToPrimitive;
use serde_json::Value;

use super::decimal::{self, DecimalError};
use super::rejection::{Rejection, excerpt};

/// The earliest time: the Unix epoch.
pub(crate) const TIMESTAMP_MIN: UnixMillis = UnixMillis(0);
/// How far ahead of this machine's clock a time may be: any time zone mistake is within a day.
pub(crate) const FUTURE_MS_MAX: i64 = DAY_MS;
/// Epoch numbers below are seconds (until the year 5138), from here on milliseconds (since March
/// 1973). No time that is allowed today can be read both ways, but milliseconds of before March
/// 1973 are taken for seconds of the far future, and refused.
pub(crate) const EPOCH_MILLIS_FROM: i64 = 100_000_000_000;
/// Clocks that differ by no more are taken to agree: that much is network and queueing.
pub(crate) const CLOCK_TOLERANCE_MS: i64 = 5_000;

/// Reads RFC 3339 text, or epoch seconds or milliseconds as number or string.
pub(crate) fn parse_json(value: &Value, now: UnixMillis) -> Result<UnixMillis, Rejection> {
    match value {
        Value::String(text) => parse_text(text, now),
        Value::Number(_) => from_epoch(decimal::parse(value), &value.to_string(), now),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => Err(Rejection::new(
            "invalid_timestamp",
            "timestamp must be an RFC 3339 text such as \"2026-01-31T12:00:00Z\", or epoch \
                 seconds or milliseconds",
        )),
    }
}

/// Reads RFC 3339 (also with a space for the `T`, and RFC 9557 annotations), or digits, which are
/// epoch seconds or milliseconds. A time without an offset is refused: it names no moment.
pub(crate) fn parse_text(text: &str, now: UnixMillis) -> Result<UnixMillis, Rejection> {
    let text = text.trim();
    match decimal::parse_text(text) {
        Err(DecimalError::NotDecimal) => from_rfc3339(text, now),
        epoch => from_epoch(epoch, text, now),
    }
}

/// The time by our clock of something that happened at `timestamp` by the sender's clock, which
/// showed `sent_at` when ours showed `received_at`. None when the clocks agree within
/// [`CLOCK_TOLERANCE_MS`], and when the correction would leave the allowed range: then `sent_at`
/// is the less credible of the two.
pub(crate) fn correct_for_clock(
    timestamp: UnixMillis,
    sent_at: UnixMillis,
    received_at: UnixMillis,
) -> Option<UnixMillis> {
    let skew_ms = received_at.0.checked_sub(sent_at.0)?;
    if skew_ms.unsigned_abs() <= CLOCK_TOLERANCE_MS.unsigned_abs() {
        return None;
    }
    let corrected = UnixMillis(timestamp.0.checked_add(skew_ms)?);
    is_allowed(corrected, received_at).then_some(corrected)
}

fn from_epoch(
    epoch: Result<Decimal, DecimalError>,
    text: &str,
    now: UnixMillis,
) -> Result<UnixMillis, Rejection> {
    let millis = match epoch {
        Ok(epoch) if epoch < Decimal::from(EPOCH_MILLIS_FROM) => {
            epoch.checked_mul(Decimal::ONE_THOUSAND)
        }
        Ok(epoch) => Some(epoch),
        Err(_) => None,
    };
    millis
        .and_then(|millis| millis.floor().to_i64())
        .map(UnixMillis)
        .filter(|&timestamp| is_allowed(timestamp, now))
        .ok_or_else(|| {
            let hint = format!(
                "; a number means seconds below {EPOCH_MILLIS_FROM} and milliseconds from there on"
            );
            out_of_range(text, &hint)
        })
}

fn from_rfc3339(text: &str, now: UnixMillis) -> Result<UnixMillis, Rejection> {
    if let Ok(timestamp) = text.parse::<UnixMillis>() {
        return if is_allowed(timestamp, now) {
            Ok(timestamp)
        } else {
            Err(out_of_range(text, ""))
        };
    }
    let Ok(pieces) = Pieces::parse(text) else {
        return Err(Rejection::new(
            "invalid_timestamp",
            format!(
                "timestamp \"{}\" is neither an RFC 3339 text such as \"2026-01-31T12:00:00Z\" \
                 nor epoch seconds or milliseconds",
                excerpt(text)
            ),
        ));
    };
    if pieces.time().is_some() && pieces.offset().is_some() {
        // Well formed, but beyond the last moment that jiff can name, at the end of the year 9999.
        return Err(out_of_range(text, ""));
    }
    Err(Rejection::new(
        "invalid_timestamp",
        format!(
            "timestamp \"{}\" must have a time and an offset, such as \"2026-01-31T12:00:00Z\" or \
             \"2026-01-31T12:00:00+02:00\"",
            excerpt(text)
        ),
    ))
}

fn is_allowed(timestamp: UnixMillis, now: UnixMillis) -> bool {
    let latest = UnixMillis(now.0.saturating_add(FUTURE_MS_MAX));
    (TIMESTAMP_MIN..=latest).contains(&timestamp)
}

fn out_of_range(text: &str, hint: &str) -> Rejection {
    Rejection::new(
        "timestamp_out_of_range",
        format!(
            "timestamp \"{}\" must be from 1970-01-01T00:00:00Z to {} hours from now{hint}",
            excerpt(text),
            FUTURE_MS_MAX / HOUR_MS
        ),
    )
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    /// 2026-11-20T12:00:00Z.
    const NOW: UnixMillis = UnixMillis(1_795_176_000_000);

    #[test]
    fn times_with_an_offset_are_read() {
        for (text, expected) in [
            ("2026-11-20T12:00:00Z", NOW.0),
            ("2026-11-20t12:00:00z", NOW.0),
            (" 2026-11-20T12:00:00Z\n", NOW.0),
            ("2026-11-20 12:00:00Z", NOW.0),
            ("2026-11-20 12:00:00+00:00", NOW.0),
            ("2026-11-20T12:00:00-00:00", NOW.0),
            ("2026-11-20T14:00:00.000+02:00", NOW.0),
            ("2026-11-20T17:30:00+05:30", NOW.0),
            ("2026-11-20T07:00:00-05:00[America/New_York]", NOW.0),
            ("2026-11-20T12:00:00.6789Z", NOW.0 + 678),
            ("2026-11-21T12:00:00Z", NOW.0 + DAY_MS),
            ("1970-01-01T00:00:00Z", 0),
            ("1969-12-31T23:00:00-01:00", 0),
            ("2016-12-31T23:59:60Z", 1_483_228_799_000),
        ] {
            assert_eq!(parse_text(text, NOW), Ok(UnixMillis(expected)), "{text}");
            assert_eq!(
                parse_json(&json!(text), NOW),
                Ok(UnixMillis(expected)),
                "{text}"
            );
        }
    }

    #[test]
    fn epoch_numbers_are_seconds_or_milliseconds_by_their_size() {
        for (value, expected) in [
            (json!(1_795_176_000), NOW.0),
            (json!(1_795_176_000.25), NOW.0 + 250),
            (json!(1_795_176_000_000_i64), NOW.0),
            (json!(1_795_176_000_000.9), NOW.0),
            (json!("1795176000"), NOW.0),
            (json!(" 1795176000000 "), NOW.0),
            (json!("1795176000.0019"), NOW.0 + 1),
            (json!(0), 0),
            (json!(0.5), 500),
            (json!(1), 1_000),
            (json!(EPOCH_MILLIS_FROM), EPOCH_MILLIS_FROM),
            (json!(1_795_262_400), NOW.0 + DAY_MS),
        ] {
            assert_eq!(parse_json(&value, NOW), Ok(UnixMillis(expected)), "{value}");
        }
    }

    #[test]
    fn times_outside_of_the_allowed_range_are_refused_as_such() {
        for value in [
            json!("1900-01-01T00:00:00Z"),
            json!("1969-12-31T23:59:59.999Z"),
            json!("0001-01-01T00:00:00Z"),
            json!("9999-12-31T23:59:59Z"),
            json!("9999-12-31T23:59:59.999+14:00"),
            json!("2026-11-21T12:00:00.001Z"),
            json!("2036-11-20T12:00:00Z"),
            json!(-1),
            json!(-0.001),
            json!("-2208988800"),
            json!(1_795_262_400.001),
            json!(EPOCH_MILLIS_FROM - 1),
            // Microseconds and nanoseconds of today.
            json!(1_795_176_000_000_000_i64),
            json!(1_795_176_000_000_000_000_i64),
            json!(1e300),
            json!("9".repeat(500)),
        ] {
            let rejection = parse_json(&value, NOW).expect_err("out of range");
            assert_eq!(rejection.reason, "timestamp_out_of_range", "{value}");
            assert!(rejection.message.chars().count() < 250, "{rejection}");
        }
    }

    #[test]
    fn what_names_no_moment_is_refused() {
        let no_offset = "must have a time and an offset";
        let not_a_time = "RFC 3339";
        for (value, part) in [
            (json!("2026-11-20T12:00:00"), no_offset),
            (json!("2026-11-20 12:00:00"), no_offset),
            (json!("2026-11-20T12:00:00[Europe/Berlin]"), no_offset),
            (json!("2026-11-20"), no_offset),
            (json!("2026-13-20T12:00:00Z"), not_a_time),
            (json!("2026-02-30T12:00:00Z"), not_a_time),
            (json!("2026-11-20T25:00:00Z"), not_a_time),
            (json!("2026-11-20T12:00:00Z tomorrow"), not_a_time),
            (json!("20/11/2026"), not_a_time),
            (json!("Fri, 20 Nov 2026 12:00:00 GMT"), not_a_time),
            (json!("yesterday"), not_a_time),
            (json!("1e9"), not_a_time),
            (json!("NaN"), not_a_time),
            (json!(""), not_a_time),
            (json!("x".repeat(100_000)), not_a_time),
            (json!(null), not_a_time),
            (json!(true), not_a_time),
            (json!([1_795_176_000]), not_a_time),
            (json!({"seconds": 1_795_176_000}), not_a_time),
        ] {
            let rejection = parse_json(&value, NOW).expect_err(part);
            assert_eq!(rejection.reason, "invalid_timestamp", "{rejection}");
            assert!(rejection.message.contains(part), "{rejection}");
            assert!(rejection.message.chars().count() < 250, "{rejection}");
        }
    }

    #[test]
    fn a_clock_that_is_off_is_corrected() {
        let now = NOW.0;
        for (timestamp, sent_at, expected) in [
            (now - 60_000, now, None),
            (now - 60_000, now - 5_000, None),
            (now - 60_000, now + 5_000, None),
            (now - 60_000, now - 5_001, Some(now - 54_999)),
            (now - 60_000, now + 5_001, Some(now - 65_001)),
            (now + HOUR_MS, now + HOUR_MS, Some(now)),
            (now + DAY_MS, now - 5_001, None),
            (now, 0, None),
            (0, now + 6_000, None),
            (i64::MAX, now - 6_000, None),
            (now, i64::MIN, None),
        ] {
            assert_eq!(
                correct_for_clock(UnixMillis(timestamp), UnixMillis(sent_at), NOW),
                expected.map(UnixMillis),
                "{timestamp} {sent_at}"
            );
        }
    }

    proptest! {
        #[test]
        fn any_text_and_number_gets_an_answer_within_the_range(
            text in any::<String>(),
            float in any::<f64>(),
            now in any::<i64>(),
        ) {
            let now = UnixMillis(now);
            for value in [json!(text), json!(float), json!(float.to_string())] {
                if let Ok(timestamp) = parse_json(&value, now) {
                    prop_assert!(is_allowed(timestamp, now));
                }
            }
        }

        #[test]
        fn printed_times_read_back(millis in 0..=NOW.0 + FUTURE_MS_MAX) {
            let timestamp = UnixMillis(millis);
            prop_assert_eq!(parse_text(&timestamp.to_string(), NOW), Ok(timestamp));
            if millis >= EPOCH_MILLIS_FROM {
                prop_assert_eq!(parse_text(&millis.to_string(), NOW), Ok(timestamp));
            }
        }
    }
}
