//! The id that the brand's shop gave to an order.

use common::ids::check_text;
use serde_json::{Map, Value};

use super::first_of;
use crate::rules::rejection::{Rejection, excerpt};

/// The order's id in every normal purchase that has one.
pub(super) const ORDER_ID: &str = "order_id";
/// Where senders put an order's id, likeliest first.
pub(super) const ORDER_ID_FIELDS: [&str; 3] = [ORDER_ID, "orderId", "transaction_id"];

/// White space around it is dropped. None when there is none: a purchase needs no order.
pub(super) fn find(payload: &Map<String, Value>) -> Result<Option<String>, Rejection> {
    let Some((field, value)) = first_of(payload, &ORDER_ID_FIELDS) else {
        return Ok(None);
    };
    let order_id = match value {
        Value::String(text) => text.trim().to_owned(),
        Value::Number(number) if !number.is_f64() => number.to_string(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => {
            return Err(Rejection::new(
                "invalid_order_id",
                format!("payload.{field} must be a string or a whole number"),
            ));
        }
    };
    match check_text(&order_id) {
        Ok(()) => Ok(Some(order_id)),
        Err(problem) => Err(Rejection::new(
            "invalid_order_id",
            format!("payload.{field} \"{}\" {problem}", excerpt(&order_id)),
        )),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn found(payload: &Value) -> Result<Option<String>, Rejection> {
        find(payload.as_object().expect("an object"))
    }

    #[test]
    fn order_ids_become_texts() {
        for (payload, expected) in [
            (json!({}), None),
            (json!({"order_id": null}), None),
            (json!({"order_id": "A-1"}), Some("A-1")),
            (json!({"order_id": " A-1 "}), Some("A-1")),
            (
                json!({"order_id": "x".repeat(200)}),
                Some("x".repeat(200).as_str()),
            ),
            (json!({"order_id": 450_789_469}), Some("450789469")),
            (json!({"order_id": u64::MAX}), Some("18446744073709551615")),
            (
                json!({"orderId": "A-1", "transaction_id": "T"}),
                Some("A-1"),
            ),
            (json!({"order_id": null, "transaction_id": 7}), Some("7")),
        ] {
            assert_eq!(
                found(&payload),
                Ok(expected.map(str::to_owned)),
                "{payload}"
            );
        }
    }

    #[test]
    fn what_no_store_could_keep_as_an_id_is_refused() {
        for (field, bad) in [
            ("order_id", json!("")),
            ("order_id", json!(" ")),
            ("orderId", json!("x".repeat(201))),
            ("transaction_id", json!("a\u{0}b")),
            ("order_id", json!(1.5)),
            ("order_id", json!(true)),
            ("order_id", json!(["A-1"])),
            ("orderId", json!({"id": 1})),
        ] {
            let rejection = found(&json!({field: bad})).expect_err(field);
            assert_eq!(rejection.reason, "invalid_order_id");
            assert!(rejection.message.contains(field), "{rejection}");
            assert!(rejection.message.chars().count() < 150, "{rejection}");
        }
    }
}
