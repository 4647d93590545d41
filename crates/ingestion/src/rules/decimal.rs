//! Decimal numbers as senders write them, read exactly: `29.33` never passes through binary
//! arithmetic.

use rust_decimal::Decimal;
use serde_json::{Number, Value};

/// The most digits before the point. More is above every limit of every rule.
const WHOLE_DIGITS_MAX: usize = 18;
/// The digits after the point that are read as they are. With the sticky digit and
/// [`WHOLE_DIGITS_MAX`] this makes 28, which a [`Decimal`] always holds.
const FRACTION_DIGITS_MAX: usize = 9;

/// A value that cannot be read as a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum DecimalError {
    /// Anything but digits with at most one point and a sign in front.
    NotDecimal,
    /// More than [`WHOLE_DIGITS_MAX`] digits before the point.
    TooLarge,
}

/// Reads a JSON number, or a string that holds one.
pub(super) fn parse(value: &Value) -> Result<Decimal, DecimalError> {
    match value {
        Value::Number(number) => parse_number(number),
        Value::String(text) => parse_text(text),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => {
            Err(DecimalError::NotDecimal)
        }
    }
}

fn parse_number(number: &Number) -> Result<Decimal, DecimalError> {
    // Rust prints the shortest text that reads back as the same float, without an exponent: the
    // text that the sender wrote, as long as that had no more than 15 significant digits.
    match number.as_f64() {
        Some(float) if number.is_f64() => parse_text(&float.to_string()),
        _ => parse_text(&number.to_string()),
    }
}

/// Reads `29.33`, ` -1234.5 `, `.5` and `5.`, but no exponent and no thousands separator.
pub(super) fn parse_text(text: &str) -> Result<Decimal, DecimalError> {
    let text = text.trim();
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    let (whole, fraction) = unsigned.split_once('.').unwrap_or((unsigned, ""));
    let is_digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    if whole.len() + fraction.len() == 0 || !is_digits(whole) || !is_digits(fraction) {
        return Err(DecimalError::NotDecimal);
    }
    let whole = whole.trim_start_matches('0');
    if whole.len() > WHOLE_DIGITS_MAX {
        return Err(DecimalError::TooLarge);
    }
    let (kept, dropped) = fraction
        .split_at_checked(FRACTION_DIGITS_MAX)
        .unwrap_or((fraction, ""));
    // One sticky digit stands for everything behind the kept ones, so that rounding to fewer
    // digits later gives what the whole text would have given.
    let sticky = if dropped.bytes().any(|byte| byte != b'0') {
        "1"
    } else {
        ""
    };
    let sign = if text.starts_with('-') { "-" } else { "" };
    Decimal::from_str_exact(&format!("{sign}0{whole}.{kept}{sticky}"))
        .map_err(|_| DecimalError::NotDecimal)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn check(value: Value, expected: Result<&str, DecimalError>) {
        let printed = parse(&value).map(|decimal| decimal.normalize().to_string());
        assert_eq!(printed, expected.map(str::to_owned), "{value}");
    }

    #[test]
    fn numbers_and_numeric_strings_are_read_exactly() {
        for (value, expected) in [
            (json!(29.33), "29.33"),
            (json!(0.1), "0.1"),
            (json!(0), "0"),
            (json!(-0.0), "0"),
            (json!(1e3), "1000"),
            (json!(1e-9), "0.000000001"),
            (json!(5e-324), "0.0000000001"),
            (json!(1_234_567_890_123.45), "1234567890123.45"),
            (json!(999_999_999_999_999_999_i64), "999999999999999999"),
            (json!(-7), "-7"),
            (json!("29.33"), "29.33"),
            (json!(" 1234.5 "), "1234.5"),
            (json!("+5"), "5"),
            (json!("-0.50"), "-0.5"),
            (json!(".5"), "0.5"),
            (json!("5."), "5"),
            (json!("00029.3300000000000000000000000000000000"), "29.33"),
            (json!("0.00500000000000000000000000001"), "0.0050000001"),
            (
                json!("999999999999999999.9999999999"),
                "999999999999999999.9999999991",
            ),
        ] {
            check(value, Ok(expected));
        }
    }

    #[test]
    fn what_is_no_plain_decimal_is_refused() {
        for text in [
            "", " ", ".", "-", "+", "+-5", "--5", "5-", "1,234.50", "1.234,50", "29,33", "1_000",
            "1 000", "1'000", "1e3", "0x10", "1.2.3", "NaN", "Infinity", "-inf", "$29.33", "٣",
            "5\u{0}", "abc",
        ] {
            check(json!(text), Err(DecimalError::NotDecimal));
        }
        for value in [json!(null), json!(true), json!([5]), json!({"amount": 5})] {
            check(value, Err(DecimalError::NotDecimal));
        }
        for value in [
            json!(1e18),
            json!(1e300),
            json!(u64::MAX),
            json!("1000000000000000000"),
        ] {
            check(value, Err(DecimalError::TooLarge));
        }
    }

    proptest! {
        #[test]
        fn any_text_and_any_float_gets_an_answer(text in any::<String>(), float in any::<f64>()) {
            for value in [json!(text), json!(float), json!(float.to_string())] {
                let answer = parse(&value);
                prop_assert!(answer.is_ok() || answer.is_err());
            }
        }

        #[test]
        fn decimals_of_fifteen_digits_survive_json(minor in 0_u64..1_000_000_000_000_000) {
            let text = format!("{}.{:02}", minor / 100, minor % 100);
            let number: Value = serde_json::from_str(&text).expect("a JSON number");
            prop_assert_eq!(parse(&number), parse(&json!(text)));
        }
    }
}
