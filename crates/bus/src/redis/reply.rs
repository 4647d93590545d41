//! Reading replies. Entries are taken apart without copying their texts: this is the hot path.

use std::time::Duration;

use common::RawFields;
use redis_link::{LinkError, Value};

use crate::delivery::StoredMessage;
use crate::error::BusError;
use crate::message_id::MessageId;
use crate::streams::{Claimed, Pending};

pub(crate) fn unexpected(command: &'static str, reply: &[Value]) -> BusError {
    let detail = format!("{} values", reply.len());
    BusError::Refused(LinkError::Unexpected { command, detail })
}

fn wrong(expected: &'static str, reply: &Value) -> BusError {
    let mut detail = format!("{reply:?} instead of {expected}");
    detail.truncate(detail.floor_char_boundary(200));
    BusError::Refused(LinkError::Unexpected {
        command: "a command",
        detail,
    })
}

pub(crate) fn array(reply: Value) -> Result<Vec<Value>, BusError> {
    match reply {
        Value::Array(values) => Ok(values),
        Value::Nil => Ok(Vec::new()),
        other => Err(wrong("an array", &other)),
    }
}

pub(crate) fn text(reply: Value) -> Result<String, BusError> {
    match reply {
        Value::BulkString(bytes) => String::from_utf8(bytes)
            .map_err(|error| wrong("a text", &Value::BulkString(error.into_bytes()))),
        Value::SimpleString(text) => Ok(text),
        other => Err(wrong("a text", &other)),
    }
}

/// A text of which what is not UTF-8 is replaced.
pub(super) fn lossy_text(reply: Value) -> Result<String, BusError> {
    match reply {
        Value::BulkString(bytes) => Ok(String::from_utf8_lossy(&bytes).into_owned()),
        other => text(other),
    }
}

pub(super) fn signed(reply: Value) -> Result<i64, BusError> {
    match reply {
        Value::Int(number) => Ok(number),
        Value::BulkString(bytes) => std::str::from_utf8(&bytes)
            .ok()
            .and_then(|text| text.parse().ok())
            .ok_or_else(|| wrong("a number", &Value::BulkString(bytes))),
        other => Err(wrong("a number", &other)),
    }
}

pub(super) fn number(reply: Value) -> Result<u64, BusError> {
    Ok(u64::try_from(signed(reply)?).unwrap_or(0))
}

pub(super) fn message_id(reply: Value) -> Result<MessageId, BusError> {
    let Value::BulkString(bytes) = &reply else {
        return Err(wrong("a message id", &reply));
    };
    let id = std::str::from_utf8(bytes)
        .ok()
        .and_then(|text| text.parse().ok());
    id.ok_or_else(|| wrong("a message id", &reply))
}

/// An id, or nothing for an empty text.
pub(super) fn optional_message_id(reply: Value) -> Result<Option<MessageId>, BusError> {
    match reply {
        Value::BulkString(bytes) if bytes.is_empty() => Ok(None),
        id => message_id(id).map(Some),
    }
}

/// The reply of `XREADGROUP` on one stream.
pub(super) fn read_messages(reply: Value) -> Result<Vec<StoredMessage>, BusError> {
    let Some(stream) = array(reply)?.pop() else {
        return Ok(Vec::new());
    };
    let entries = array(stream)?.pop().unwrap_or_default();
    messages(entries)
}

/// A list of entries.
pub(super) fn messages(reply: Value) -> Result<Vec<StoredMessage>, BusError> {
    array(reply)?.into_iter().map(message).collect()
}

fn message(reply: Value) -> Result<StoredMessage, BusError> {
    let mut parts = array(reply)?.into_iter();
    let id = message_id(parts.next().unwrap_or_default())?;
    let texts = array(parts.next().unwrap_or_default())?;
    let mut fields = Vec::with_capacity(texts.len() / 2);
    let mut texts = texts.into_iter();
    while let (Some(name), Some(value)) = (texts.next(), texts.next()) {
        match (name, value) {
            (Value::BulkString(name), Value::BulkString(value)) => fields.push((name, value)),
            (other, _) => return Err(wrong("a field", &other)),
        }
    }
    Ok(StoredMessage {
        id,
        fields: RawFields(fields),
    })
}

pub(super) fn pending(reply: Value) -> Result<Vec<Pending>, BusError> {
    array(reply)?.into_iter().map(pending_entry).collect()
}

fn pending_entry(reply: Value) -> Result<Pending, BusError> {
    let mut parts = array(reply)?.into_iter();
    let mut next = || parts.next().unwrap_or_default();
    Ok(Pending {
        id: message_id(next())?,
        consumer: text(next())?,
        idle: Duration::from_millis(number(next())?),
        deliveries: u32::try_from(number(next())?).unwrap_or(u32::MAX),
    })
}

pub(super) fn claimed(reply: Value) -> Result<Claimed, BusError> {
    let mut parts = array(reply)?.into_iter();
    let found = messages(parts.next().unwrap_or_default())?;
    let vanished = array(parts.next().unwrap_or_default())?;
    let vanished = vanished
        .into_iter()
        .map(message_id)
        .collect::<Result<_, _>>()?;
    Ok(Claimed {
        messages: found,
        vanished,
    })
}
