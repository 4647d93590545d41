//! Numbers as people read them.

use std::time::Duration;

/// With a space between thousands that does not break: 1 234 567.
pub(super) fn number(value: u64) -> String {
    let digits = value.to_string();
    let mut grouped = String::with_capacity(digits.len() + digits.len() / 3);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            grouped.push('\u{202f}');
        }
        grouped.push(digit);
    }
    grouped
}

/// Bytes to one decimal: 1.5 MiB.
pub(super) fn bytes(value: u64) -> String {
    let units = ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    let mut divisor: u64 = 1;
    let mut unit = "B";
    for larger in units.into_iter().skip(1) {
        if value / divisor < 1024 {
            break;
        }
        divisor = divisor.saturating_mul(1024);
        unit = larger;
    }
    let tenths = u128::from(value) * 10 / u128::from(divisor);
    match divisor {
        1 => format!("{value} {unit}"),
        _ => format!("{}.{} {unit}", tenths / 10, tenths % 10),
    }
}

/// A duration in its largest unit: 5 min.
pub(super) fn ago(duration: Duration) -> String {
    let seconds = duration.as_secs();
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3_600 => format!("{} min", seconds / 60),
        3_600..172_800 => format!("{} h", seconds / 3_600),
        _ => format!("{} days", number(seconds / 86_400)),
    }
}

/// The beginning of a long text.
pub(super) fn beginning(text: &str, bytes_max: usize) -> String {
    if text.len() <= bytes_max {
        return text.to_owned();
    }
    let (shown, _) = text.split_at(text.floor_char_boundary(bytes_max));
    format!("{shown}… ({} bytes)", text.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_bytes_and_durations_are_short() {
        for (value, expected) in [
            (0, "0"),
            (999, "999"),
            (1_000, "1 000"),
            (1_234_567, "1 234 567"),
        ] {
            assert_eq!(number(value).replace('\u{202f}', " "), expected);
        }
        for (value, expected) in [
            (0, "0 B"),
            (1_023, "1023 B"),
            (1_536, "1.5 KiB"),
            (1 << 30, "1.0 GiB"),
            (u64::MAX, "15.9 EiB"),
        ] {
            assert_eq!(bytes(value), expected);
        }
        for (seconds, expected) in [
            (59, "59 s"),
            (61, "1 min"),
            (7_199, "1 h"),
            (180_000, "2 days"),
        ] {
            assert_eq!(ago(Duration::from_secs(seconds)), expected);
        }
        assert_eq!(beginning("aé", 2), "a… (3 bytes)");
        assert_eq!(beginning("aé", 3), "aé");
    }
}
