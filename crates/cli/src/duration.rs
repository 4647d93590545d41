//! Durations as people write and read them: `500ms`, `25s`, `5m`, `1h30m`.

use std::time::Duration;

const DAY_SECONDS: u64 = 24 * 60 * 60;
/// The longest duration that an option takes.
const LONGEST: Duration = Duration::from_secs(365 * DAY_SECONDS);

/// Reads numbers with units, largest first or in any order: `500ms`, `25s`, `5m`, `1h30m`, `2d`.
pub(crate) fn parse(text: &str) -> Result<Duration, String> {
    let mut rest = text.trim();
    let mut total = Duration::ZERO;
    if rest.is_empty() {
        return Err(allowed());
    }
    while !rest.is_empty() {
        let (part, after) = parse_part(rest).ok_or_else(allowed)?;
        total = total.saturating_add(part);
        rest = after;
    }
    if total > LONGEST {
        return Err("longer than 365 days".to_owned());
    }
    Ok(total)
}

/// The two largest units of a duration: `350ms`, `4.2s`, `3m 05s`, `2h 10m`, `3d 4h`.
pub(crate) fn show(duration: Duration) -> String {
    let seconds = duration.as_secs();
    let (minutes, hours) = (seconds / 60, seconds / 3_600);
    match seconds {
        0 => format!("{}ms", duration.as_millis()),
        1..10 => format!("{seconds}.{}s", duration.subsec_millis() / 100),
        10..60 => format!("{seconds}s"),
        60..3_600 => format!("{minutes}m {:02}s", seconds % 60),
        3_600..DAY_SECONDS => format!("{hours}h {:02}m", minutes % 60),
        _ => format!("{}d {}h", seconds / DAY_SECONDS, hours % 24),
    }
}

/// One number with its unit, and what follows.
fn parse_part(text: &str) -> Option<(Duration, &str)> {
    let (number, rest) = text.split_at_checked(length_of(text, |char| char.is_ascii_digit()))?;
    let (unit, rest) = rest.split_at_checked(length_of(rest, char::is_alphabetic))?;
    let unit_ms = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => DAY_SECONDS * 1_000,
        _ => return None,
    };
    let millis = number.parse::<u64>().ok()?.saturating_mul(unit_ms);
    Some((Duration::from_millis(millis), rest))
}

/// How many bytes of the text belong to such characters before the first that is different.
fn length_of(text: &str, belongs: impl Fn(char) -> bool) -> usize {
    text.find(|char| !belongs(char)).unwrap_or(text.len())
}

fn allowed() -> String {
    "allowed are numbers with a unit of ms, s, m, h or d, such as 500ms, 25s or 1h30m".to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_numbers_with_units() {
        for (text, expected_ms) in [
            ("0s", Some(0)),
            ("500ms", Some(500)),
            (" 25s ", Some(25_000)),
            ("5m", Some(300_000)),
            ("1h30m", Some(5_400_000)),
            ("365d", Some(31_536_000_000)),
            ("366d", None),
            ("99999999999999999999s", None),
            ("18446744073709551615d", None),
            ("120", None),
            ("s", None),
            ("", None),
            ("-5s", None),
            ("1.5s", None),
            ("5 m", None),
            ("5µ", None),
        ] {
            let parsed = parse(text).ok().map(|duration| duration.as_millis());
            assert_eq!(parsed, expected_ms, "{text:?}");
        }
    }

    #[test]
    fn durations_show_their_two_largest_units() {
        for (millis, expected) in [
            (0, "0ms"),
            (350, "350ms"),
            (4_290, "4.2s"),
            (59_999, "59s"),
            (185_000, "3m 05s"),
            (7_800_000, "2h 10m"),
            (273_600_000, "3d 4h"),
        ] {
            assert_eq!(show(Duration::from_millis(millis)), expected);
        }
    }
}
