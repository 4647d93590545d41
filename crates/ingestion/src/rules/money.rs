//! Money in minor units of an ISO 4217 currency.

use common::limits::AMOUNT_MINOR_MAX;
use iso_currency::Currency;
use rust_decimal::prelude::ToPrimitive;
use rust_decimal::{Decimal, RoundingStrategy};
use serde_json::Value;

use super::decimal::{self, DecimalError};
use super::rejection::{Rejection, excerpt};

/// The amount had more digits than its currency has and was rounded half to even.
pub(crate) const AMOUNT_ROUNDED: &str = "amount_rounded";
/// Refused: there is no amount.
pub(crate) const MISSING_AMOUNT: &str = "missing_amount";
/// Refused: there is an amount, but no currency.
pub(crate) const MISSING_CURRENCY: &str = "missing_currency";

/// An amount of zero to [`AMOUNT_MINOR_MAX`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Money {
    /// In the currency's smallest unit of ISO 4217: 2933 is 29.33 EUR, 2933 JPY or 2.933 BHD.
    pub(crate) amount_minor: i64,
    /// Three upper-case letters.
    pub(crate) currency: String,
}

/// A value, and the stable code of what was changed to get it.
pub(crate) type WithWarning<T> = (T, Option<&'static str>);

/// Reads an amount in major units (`29.33`, as number or string) with its currency in any case.
/// `null` means missing.
pub(crate) fn parse(amount: &Value, currency: &Value) -> Result<WithWarning<Money>, Rejection> {
    let amount = read_amount(amount)?;
    let (code, minor_digits) = read_currency(currency)?;
    let rounded =
        amount.round_dp_with_strategy(minor_digits, RoundingStrategy::MidpointNearestEven);
    let scale = Decimal::from(10_u64.pow(minor_digits));
    let amount_minor = rounded
        .checked_mul(scale)
        .ok_or_else(amount_out_of_range)
        .and_then(bounded)?;
    let warning = (rounded != amount).then_some(AMOUNT_ROUNDED);
    let money = Money {
        amount_minor,
        currency: code,
    };
    Ok((money, warning))
}

/// Reads an amount that is in minor units already: a whole number.
pub(crate) fn parse_minor(amount: &Value, currency: &Value) -> Result<Money, Rejection> {
    let decimal = read_amount(amount)?;
    if !decimal.is_integer() {
        return Err(Rejection::new(
            "invalid_amount",
            format!(
                "the amount in minor units must be a whole number, not {}",
                shown(amount)
            ),
        ));
    }
    let (code, _) = read_currency(currency)?;
    Ok(Money {
        amount_minor: bounded(decimal)?,
        currency: code,
    })
}

fn read_amount(amount: &Value) -> Result<Decimal, Rejection> {
    if amount.is_null() {
        return Err(Rejection::new(MISSING_AMOUNT, "the amount is missing"));
    }
    let decimal = match decimal::parse(amount) {
        Ok(decimal) => decimal,
        Err(DecimalError::TooLarge) => return Err(amount_out_of_range()),
        Err(DecimalError::NotDecimal) => {
            return Err(Rejection::new(
                "invalid_amount",
                format!(
                    "the amount must be a number or a decimal string such as \"1234.50\", without \
                     a currency sign or thousands separators (a comma is ambiguous), not {}",
                    shown(amount)
                ),
            ));
        }
    };
    if decimal < Decimal::ZERO {
        return Err(Rejection::new(
            "negative_amount",
            format!("the amount must be zero or more, not {}", shown(amount)),
        ));
    }
    Ok(decimal)
}

/// The code in upper case and how many digits its minor unit has.
fn read_currency(currency: &Value) -> Result<(String, u32), Rejection> {
    if currency.is_null() {
        return Err(Rejection::new(
            MISSING_CURRENCY,
            "the currency is missing; it must be an ISO 4217 code such as \"EUR\"",
        ));
    }
    let code = currency
        .as_str()
        .map(|text| text.trim().to_ascii_uppercase());
    let known = code.and_then(|code| {
        // Gold, special drawing rights and "no currency" have a code but no minor unit: an amount
        // of them cannot be written in minor units.
        let minor_digits = Currency::from_code(&code)?.exponent()?;
        Some((code, u32::from(minor_digits)))
    });
    known.ok_or_else(|| {
        Rejection::new(
            "invalid_currency",
            format!(
                "the currency must be the ISO 4217 code of a currency with a minor unit, such as \
                 \"EUR\", not {}",
                shown(currency)
            ),
        )
    })
}

fn bounded(amount_minor: Decimal) -> Result<i64, Rejection> {
    amount_minor
        .to_i64()
        .filter(|&minor| minor <= AMOUNT_MINOR_MAX)
        .ok_or_else(amount_out_of_range)
}

fn amount_out_of_range() -> Rejection {
    Rejection::new(
        "amount_out_of_range",
        format!("the amount must be at most {AMOUNT_MINOR_MAX} minor units of its currency"),
    )
}

/// A scalar as an excerpt; of a structure only its kind.
fn shown(value: &Value) -> String {
    match value {
        Value::String(text) => format!("\"{}\"", excerpt(text)),
        Value::Array(_) => "an array".to_owned(),
        Value::Object(_) => "an object".to_owned(),
        Value::Null | Value::Bool(_) | Value::Number(_) => excerpt(&value.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn money(amount_minor: i64, currency: &str) -> Money {
        Money {
            amount_minor,
            currency: currency.to_owned(),
        }
    }

    #[test]
    fn amounts_become_minor_units_of_their_currency() {
        for (amount, currency, minor, code) in [
            (json!(29.33), "EUR", 2_933, "EUR"),
            (json!("29.33"), "eur", 2_933, "EUR"),
            (json!(" 1234.5 "), " Usd ", 123_450, "USD"),
            (json!(0), "USD", 0, "USD"),
            (json!(-0.0), "USD", 0, "USD"),
            (json!(1.1), "USD", 110, "USD"),
            (json!(0.57), "USD", 57, "USD"),
            (json!(4.35), "USD", 435, "USD"),
            (json!(1e3), "USD", 100_000, "USD"),
            (json!("29.3300000"), "USD", 2_933, "USD"),
            (json!(5000), "JPY", 5_000, "JPY"),
            (json!("1.234"), "BHD", 1_234, "BHD"),
            (json!("1.2345"), "CLF", 12_345, "CLF"),
            (json!("0.01"), "HRK", 1, "HRK"),
            (json!("10000000000000"), "EUR", AMOUNT_MINOR_MAX, "EUR"),
            (
                json!(9_999_999_999_999.99),
                "EUR",
                AMOUNT_MINOR_MAX - 1,
                "EUR",
            ),
        ] {
            let parsed = parse(&amount, &json!(currency));
            assert_eq!(parsed, Ok((money(minor, code), None)), "{amount}");
        }
    }

    #[test]
    fn digits_below_the_minor_unit_are_rounded_half_to_even_with_a_warning() {
        for (amount, currency, minor) in [
            (json!("0.005"), "USD", 0),
            (json!("0.015"), "USD", 2),
            (json!("0.025"), "USD", 2),
            (json!("0.0250000000000000000000000000000000001"), "USD", 3),
            (json!(2.675), "USD", 268),
            (json!(0.300_000_000_000_000_04), "USD", 30),
            (json!(1e-300), "USD", 0),
            (json!("99.5"), "JPY", 100),
            (json!("100.5"), "JPY", 100),
            (json!("1.2345"), "BHD", 1_234),
        ] {
            let parsed = parse(&amount, &json!(currency));
            assert_eq!(
                parsed,
                Ok((money(minor, currency), Some(AMOUNT_ROUNDED))),
                "{amount}"
            );
        }
    }

    #[test]
    fn bad_amounts_and_currencies_are_refused_with_their_reason() {
        let long = "9".repeat(500);
        for (amount, currency, reason) in [
            (json!(null), json!("USD"), "missing_amount"),
            (json!(null), json!(null), "missing_amount"),
            (json!(5), json!(null), "missing_currency"),
            (json!("-0.01"), json!("USD"), "negative_amount"),
            (json!(-5), json!("USD"), "negative_amount"),
            (json!(-5), json!(null), "negative_amount"),
            (json!("-0.001"), json!("USD"), "negative_amount"),
            (json!("NaN"), json!("USD"), "invalid_amount"),
            (json!("Infinity"), json!("USD"), "invalid_amount"),
            (json!("1,234.50"), json!("USD"), "invalid_amount"),
            (json!("29,33"), json!("EUR"), "invalid_amount"),
            (json!("$5"), json!("USD"), "invalid_amount"),
            (json!(""), json!("USD"), "invalid_amount"),
            (json!(true), json!("USD"), "invalid_amount"),
            (json!([5]), json!("USD"), "invalid_amount"),
            (json!({"a": 5}), json!("USD"), "invalid_amount"),
            (
                json!(10_000_000_000_000.01),
                json!("USD"),
                "amount_out_of_range",
            ),
            (
                json!(10_000_000_000_000_i64),
                json!("BHD"),
                "amount_out_of_range",
            ),
            (json!(1e300), json!("USD"), "amount_out_of_range"),
            (json!(long), json!("USD"), "amount_out_of_range"),
            (json!(5), json!("XYZ"), "invalid_currency"),
            (json!(5), json!("XAU"), "invalid_currency"),
            (json!(5), json!("XXX"), "invalid_currency"),
            (json!(5), json!("XDR"), "invalid_currency"),
            (json!(5), json!("€"), "invalid_currency"),
            (json!(5), json!(""), "invalid_currency"),
            (json!(5), json!(978), "invalid_currency"),
            (json!(5), json!("ＵＳＤ"), "invalid_currency"),
        ] {
            let rejection = parse(&amount, &currency).expect_err(reason);
            assert_eq!(rejection.reason, reason, "{amount} {currency}");
            assert!(rejection.message.chars().count() < 250, "{rejection}");
        }
    }

    #[test]
    fn amounts_in_minor_units_must_be_whole() {
        for (amount, minor) in [
            (json!(2933), 2_933),
            (json!("2933"), 2_933),
            (json!(5.0), 5),
        ] {
            assert_eq!(parse_minor(&amount, &json!("usd")), Ok(money(minor, "USD")));
        }
        for (amount, reason) in [
            (json!(29.33), "invalid_amount"),
            (json!(-1), "negative_amount"),
            (json!(AMOUNT_MINOR_MAX + 1), "amount_out_of_range"),
            (json!(null), "missing_amount"),
        ] {
            let rejection = parse_minor(&amount, &json!("USD")).expect_err(reason);
            assert_eq!(rejection.reason, reason);
        }
    }

    proptest! {
        #[test]
        fn printed_amounts_read_back(
            minor in 0..=AMOUNT_MINOR_MAX,
            (code, digits) in prop::sample::select(vec![("JPY", 0), ("USD", 2), ("BHD", 3), ("CLF", 4)]),
        ) {
            let text = Decimal::new(minor, digits).to_string();
            let number: Value = serde_json::from_str(&text).expect("a JSON number");
            for amount in [json!(text), number] {
                prop_assert_eq!(parse(&amount, &json!(code)), Ok((money(minor, code), None)));
            }
        }

        #[test]
        fn any_amount_and_currency_gets_an_answer_within_the_bound(
            amount in any::<String>(),
            float in any::<f64>(),
            currency in "\\PC{0,4}|USD|JPY",
        ) {
            for value in [json!(amount), json!(float), json!(float.to_string())] {
                if let Ok((money, _)) = parse(&value, &json!(currency)) {
                    prop_assert!((0..=AMOUNT_MINOR_MAX).contains(&money.amount_minor));
                }
            }
        }
    }
}
