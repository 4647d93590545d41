//! Reading replies.

use redis_link::{LinkError, Value};

use crate::error::StoreError;

pub(super) fn wrong(expected: &'static str, reply: &Value) -> StoreError {
    let mut detail = format!("{reply:?} instead of {expected}");
    detail.truncate(detail.floor_char_boundary(200));
    StoreError::Redis(LinkError::Unexpected {
        command: "a command on feedback batches",
        detail,
    })
}

/// Nothing is an array without elements.
pub(super) fn array(reply: Value) -> Result<Vec<Value>, StoreError> {
    match reply {
        Value::Array(values) => Ok(values),
        Value::Nil => Ok(Vec::new()),
        other => Err(wrong("an array", &other)),
    }
}

pub(super) fn bytes(reply: Value) -> Result<Vec<u8>, StoreError> {
    match reply {
        Value::BulkString(bytes) => Ok(bytes),
        Value::SimpleString(text) => Ok(text.into_bytes()),
        other => Err(wrong("a text", &other)),
    }
}

pub(super) fn text(reply: Value) -> Result<String, StoreError> {
    String::from_utf8(bytes(reply)?)
        .map_err(|error| wrong("a text", &Value::BulkString(error.into_bytes())))
}

/// Nothing and what is no text are nothing.
pub(super) fn optional_text(reply: Value) -> Option<String> {
    text(reply).ok()
}

pub(super) fn signed(reply: Value) -> Result<i64, StoreError> {
    match reply {
        Value::Int(number) => Ok(number),
        Value::BulkString(bytes) => std::str::from_utf8(&bytes)
            .ok()
            .and_then(|text| text.parse().ok())
            .ok_or_else(|| wrong("a number", &Value::BulkString(bytes))),
        other => Err(wrong("a number", &other)),
    }
}

/// Nothing is 0.
pub(super) fn number(reply: Value) -> Result<u64, StoreError> {
    match reply {
        Value::Nil => Ok(0),
        other => Ok(u64::try_from(signed(other)?).unwrap_or(0)),
    }
}

pub(super) fn flag(reply: Value) -> Result<bool, StoreError> {
    Ok(number(reply)? == 1)
}

/// A score of a sorted set in whole milliseconds, if there is one.
pub(super) fn moment(reply: Value) -> Result<Option<i64>, StoreError> {
    match reply {
        Value::Nil => Ok(None),
        other => {
            let score = text(other)?;
            // A score of 17 digits or more has an exponent; it is somebody else's, and far away.
            Ok(Some(score.parse().unwrap_or(i64::MAX)))
        }
    }
}
