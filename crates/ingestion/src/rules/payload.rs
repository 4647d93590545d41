//! What a payload says in the same place whoever sent it: money and the order's id.

pub(crate) mod fields_read;
mod order_id;

use common::event_types::PURCHASE;
use serde_json::{Map, Value};

use super::decimal::{self, DecimalError};
use super::money::{self, Money, WithWarning};
use super::rejection::Rejection;

/// Money as it is in every normal payload: a whole number of minor units.
const AMOUNT_MINOR: &str = "amount_minor";
/// The code in upper case, in every normal payload that has money.
const CURRENCY: &str = "currency";
/// Where senders put an amount in major units, likeliest first; `total_price` is of shop webhooks.
const AMOUNT_FIELDS: [&str; 6] = [
    "amount",
    "total",
    "revenue",
    "value",
    "price",
    "total_price",
];

/// An amount was left alone, because nothing says of which currency it is.
pub(crate) const AMOUNT_WITHOUT_CURRENCY: &str = "amount_without_currency";
/// An amount was left alone, because it or its currency cannot be read.
pub(crate) const AMOUNT_IGNORED: &str = "amount_ignored";

/// A payload with everything that the sender put in, and the normal fields beside it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NormalPayload {
    /// `amount_minor`, `currency` and (of purchases) `order_id` replace the sender's own.
    pub(crate) payload: Map<String, Value>,
    /// Stable codes of what was changed or left out, each at most once.
    pub(crate) warnings: Vec<&'static str>,
}

/// Finds the money and the order's id of a payload. Only a purchase is refused for them; on any
/// other type an amount that cannot be read is a warning. Repeating it changes nothing.
pub(crate) fn normalize(
    event_type: &str,
    mut payload: Map<String, Value>,
) -> Result<NormalPayload, Rejection> {
    let (money, warning) = if event_type == PURCHASE {
        required_money(&payload)?
    } else {
        optional_money(&payload)
    };
    if event_type == PURCHASE
        && let Some(order_id) = order_id::find(&payload)?
    {
        payload.insert(order_id::ORDER_ID.to_owned(), Value::from(order_id));
    }
    if let Some(money) = money {
        payload.insert(AMOUNT_MINOR.to_owned(), Value::from(money.amount_minor));
        payload.insert(CURRENCY.to_owned(), Value::from(money.currency));
    }
    Ok(NormalPayload {
        payload,
        warnings: warning.into_iter().collect(),
    })
}

fn required_money(payload: &Map<String, Value>) -> Result<WithWarning<Option<Money>>, Rejection> {
    let Some(place) = MoneyPlace::find(payload) else {
        return Err(Rejection::new(
            money::MISSING_AMOUNT,
            format!(
                "payload of a {PURCHASE} must have an amount (one of {AMOUNT_MINOR}, {}) and a \
                 {CURRENCY}",
                AMOUNT_FIELDS.join(", ")
            ),
        ));
    };
    match place.read() {
        Ok((money, warning)) => Ok((Some(money), warning)),
        Err(rejection) => Err(Rejection::new(
            rejection.reason,
            format!("payload.{}: {}", place.field, rejection.message),
        )),
    }
}

fn optional_money(payload: &Map<String, Value>) -> WithWarning<Option<Money>> {
    let Some(place) = MoneyPlace::find(payload) else {
        return (None, None);
    };
    if place.is_something_else() {
        return (None, None);
    }
    match place.read() {
        Ok((money, warning)) => (Some(money), warning),
        Err(rejection) if rejection.reason == money::MISSING_CURRENCY => {
            (None, Some(AMOUNT_WITHOUT_CURRENCY))
        }
        Err(_) => (None, Some(AMOUNT_IGNORED)),
    }
}

/// The first field that may hold an amount, whatever is in it. A later one is never tried instead:
/// taking a unit's price because the total has a typing error would be a wrong revenue.
struct MoneyPlace<'a> {
    field: &'static str,
    amount: &'a Value,
    currency: &'a Value,
}

impl<'a> MoneyPlace<'a> {
    fn find(payload: &'a Map<String, Value>) -> Option<Self> {
        let (field, value) = first_of(payload, [AMOUNT_MINOR].iter().chain(&AMOUNT_FIELDS))?;
        let currency = payload.get(CURRENCY).unwrap_or(&Value::Null);
        Some(match value {
            Value::Object(inner) => Self {
                field,
                amount: first_of(inner, &["amount", "value"]).map_or(&Value::Null, |(_, it)| it),
                currency: first_of(inner, &[CURRENCY]).map_or(currency, |(_, it)| it),
            },
            amount => Self {
                field,
                amount,
                currency,
            },
        })
    }

    fn read(&self) -> Result<WithWarning<Money>, Rejection> {
        if self.field == AMOUNT_MINOR {
            money::parse_minor(self.amount, self.currency).map(|money| (money, None))
        } else {
            money::parse(self.amount, self.currency)
        }
    }

    /// `value` and `total` are common words: without a currency, what is no number is no money.
    fn is_something_else(&self) -> bool {
        self.amount.is_null()
            || self.currency.is_null()
                && decimal::parse(self.amount) == Err(DecimalError::NotDecimal)
    }
}

/// The first of the fields that is there and not `null`, which senders write for "absent".
fn first_of<'a>(
    payload: &'a Map<String, Value>,
    fields: impl IntoIterator<Item = &'a &'static str>,
) -> Option<(&'static str, &'a Value)> {
    fields.into_iter().find_map(|&field| {
        let value = payload.get(field).filter(|value| !value.is_null())?;
        Some((field, value))
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn object(value: Value) -> Map<String, Value> {
        let Value::Object(map) = value else {
            panic!("{value} is no object");
        };
        map
    }

    /// `added` is what must be in the normal payload beside or instead of the sender's fields.
    fn check(event_type: &str, payload: Value, added: Value, warnings: &[&str]) {
        let mut expected = object(payload.clone());
        expected.extend(object(added));
        let normal = normalize(event_type, object(payload)).expect("accepted");
        assert_eq!(normal.payload, expected);
        assert_eq!(normal.warnings, warnings, "{expected:?}");
    }

    fn refuse(payload: Value, reason: &str, field: &str) {
        let text = payload.to_string();
        let rejection = normalize(PURCHASE, object(payload)).expect_err(&text);
        assert_eq!(rejection.reason, reason, "{text}");
        assert!(rejection.message.contains(field), "{rejection}");
        assert!(rejection.message.chars().count() < 300, "{rejection}");
    }

    #[test]
    fn money_is_found_in_the_usual_places() {
        let normal = json!({"amount_minor": 2933, "currency": "EUR"});
        for payload in [
            json!({"amount_minor": 2933, "currency": "EUR"}),
            json!({"amount_minor": "2933", "currency": "eur"}),
            json!({"amount_minor": 2933, "amount": 99, "currency": "EUR"}),
            json!({"amount_minor": null, "amount": 29.33, "currency": "EUR"}),
            json!({"amount": 29.33, "currency": "eur"}),
            json!({"amount": "29.33", "total": 99, "currency": "EUR"}),
            json!({"amount": null, "total": 29.33, "currency": "EUR"}),
            json!({"total": "29.33", "price": 5, "currency": "EUR"}),
            json!({"revenue": 29.33, "currency": "EUR"}),
            json!({"value": 29.33, "currency": "EUR"}),
            json!({"price": 29.33, "currency": "EUR"}),
            json!({"total_price": "29.33", "currency": "EUR", "id": 450_789_469}),
            json!({"amount": {"amount": 29.33, "currency": "EUR"}}),
            json!({"amount": {"value": "29.33", "currency": "EUR"}}),
            json!({"price": {"amount": null, "value": 29.33, "currency": "eur"}}),
            json!({"price": {"amount": 29.33, "currency": "EUR"}, "currency": "USD"}),
            json!({"price": {"amount": 29.33}, "currency": "EUR"}),
        ] {
            check(PURCHASE, payload.clone(), normal.clone(), &[]);
            check("refund", payload, normal.clone(), &[]);
        }
    }

    #[test]
    fn rounding_is_a_warning() {
        let payload = json!({"amount": "29.335", "currency": "EUR"});
        let normal = json!({"amount_minor": 2934});
        check(
            PURCHASE,
            payload.clone(),
            normal.clone(),
            &["amount_rounded"],
        );
        check("refund", payload, normal, &["amount_rounded"]);
    }

    #[test]
    fn a_purchase_without_good_money_is_refused() {
        for (payload, reason, field) in [
            (json!({}), "missing_amount", "amount_minor, amount, total"),
            (json!({"currency": "EUR"}), "missing_amount", "payload"),
            (
                json!({"amount": null, "currency": "EUR"}),
                "missing_amount",
                "payload",
            ),
            (
                json!({"total": {"net": 5}, "price": 5, "currency": "EUR"}),
                "missing_amount",
                "payload.total",
            ),
            (json!({"amount": 5}), "missing_currency", "payload.amount"),
            (
                json!({"amount_minor": 500}),
                "missing_currency",
                "payload.amount_minor",
            ),
            (
                json!({"price": {"amount": 5}}),
                "missing_currency",
                "payload.price",
            ),
            (
                json!({"amount": -5, "currency": "EUR"}),
                "negative_amount",
                "payload.amount",
            ),
            (
                json!({"total": "29,33", "price": 5, "currency": "EUR"}),
                "invalid_amount",
                "payload.total",
            ),
            (
                json!({"value": "blue", "currency": "EUR"}),
                "invalid_amount",
                "payload.value",
            ),
            (
                json!({"amount_minor": 29.33, "currency": "EUR"}),
                "invalid_amount",
                "payload.amount_minor",
            ),
            (
                json!({"amount": 1e30, "currency": "EUR"}),
                "amount_out_of_range",
                "payload.amount",
            ),
            (
                json!({"amount": 5, "currency": "XAU"}),
                "invalid_currency",
                "currency",
            ),
            (
                json!({"amount": "x".repeat(5_000), "currency": "EUR"}),
                "invalid_amount",
                "payload.amount",
            ),
        ] {
            refuse(payload, reason, field);
        }
    }

    #[test]
    fn only_a_purchase_has_a_normal_order_id() {
        let payload = json!({"amount_minor": 5, "currency": "EUR", "orderId": 7});
        check(PURCHASE, payload.clone(), json!({"order_id": "7"}), &[]);
        check("refund", payload, json!({}), &[]);
        let bad = json!({"amount_minor": 5, "currency": "EUR", "orderId": ""});
        refuse(bad, "invalid_order_id", "payload.orderId");
    }

    #[test]
    fn other_types_keep_what_cannot_be_read() {
        for (payload, warnings) in [
            (json!({}), &[][..]),
            (json!({"url": "/", "currency": "EUR"}), &[]),
            (json!({"value": "blue"}), &[]),
            (json!({"value": true}), &[]),
            (json!({"value": {"colour": "blue"}}), &[]),
            (json!({"total": [1, 2]}), &[]),
            (json!({"value": 5}), &[AMOUNT_WITHOUT_CURRENCY]),
            (
                json!({"price": {"amount": "5"}}),
                &[AMOUNT_WITHOUT_CURRENCY],
            ),
            (json!({"amount_minor": 500}), &[AMOUNT_WITHOUT_CURRENCY]),
            (
                json!({"value": "blue", "currency": "EUR"}),
                &[AMOUNT_IGNORED],
            ),
            (json!({"amount": -5, "currency": "EUR"}), &[AMOUNT_IGNORED]),
            (json!({"amount": -5}), &[AMOUNT_IGNORED]),
            (json!({"amount": 5, "currency": "?"}), &[AMOUNT_IGNORED]),
            (
                json!({"amount": 1e30, "currency": "EUR"}),
                &[AMOUNT_IGNORED],
            ),
            (json!({"order_id": [], "orderId": 5}), &[]),
        ] {
            check("page_view", payload, json!({}), warnings);
        }
    }

    proptest! {
        /// The door reads a few fields, the normaliser all of them: they must agree.
        #[test]
        fn the_fields_that_are_read_decide_as_the_whole_payload_does(
            entries in prop::collection::vec(
                (prop::sample::select(vec![
                    "amount", "amount_minor", "total", "price", "value", "currency", "order_id",
                    "orderId", "transaction_id", "other", "Amount",
                ]), "null|1|-2\\.5|\"9\\.99\"|\"EUR\"|\\{\"amount\":3,\"currency\":\"JPY\"\\}|\\[1\\]"),
                0..6,
            ),
        ) {
            let fields: Vec<String> =
                entries.iter().map(|(name, value)| format!("\"{name}\":{value}")).collect();
            let json = format!("{{{}}}", fields.join(","));
            let whole = normalize(PURCHASE, serde_json::from_str(&json).expect(&json)).err();
            let read = fields_read::read(&json).expect(&json);
            prop_assert_eq!(normalize(PURCHASE, read).err(), whole);
        }

        #[test]
        fn normalizing_twice_is_normalizing_once(
            field in prop::sample::select(AMOUNT_FIELDS.to_vec()),
            amount in "-?[0-9]{1,6}(\\.[0-9]{0,4})?|\\PC{0,6}",
            currency in "eur|JPY|BHD|\\PC{0,3}",
            event_type in "purchase|refund",
        ) {
            let payload = object(json!({field: amount, "currency": currency, "orderId": 5}));
            if let Ok(once) = normalize(&event_type, payload) {
                let twice = normalize(&event_type, once.payload.clone()).expect("still good");
                prop_assert_eq!(twice.payload, once.payload);
            }
        }
    }
}
