//! A feedback document as MongoDB keeps it:
//!
//! ```json
//! {"_id": "r-1", "feedbackId": "r-1", "agentId": "a-7", "kind": "reply", "roomId": "…",
//!  "messageId": "…", "userId": "…", "text": "…", "rating": "5",
//!  "createdAt": ISODate("2026-11-20T12:00:00Z"), "extra": {"locale": "de"}, "digest": "…"}
//! ```
//!
//! - `text`, `rating`, `reaction` and `extra` are missing where there is nothing to say.
//! - `createdAt` is a BSON date, so that it can be compared, sorted and used in a pipeline.
//! - Names that MongoDB, or a server like it, does not take for fields (empty, with `.`, `$` or NUL,
//!   or twice) turn `extra` into a list: `extraPairs: [{"name": "a.b", "value": "1"}]`.
//! - `digest` tells an item that comes again from another version of the same time.

use std::collections::HashSet;

use common::fields::{FieldValue as _, TextField};
use common::messages::FeedbackKind;
use common::{AgentId, UnixMillis};
use mongodb::bson::raw::{CString, RawBsonRef, cstr};
use mongodb::bson::{DateTime, RawArrayBuf, RawDocument, RawDocumentBuf, rawdoc};
use uuid::Uuid;

use super::FeedbackDocument;
use crate::error::StoreError;

/// The name space of digests; any will do that never changes.
const DIGESTS: Uuid = Uuid::from_u128(0x6d69_6c6c_7261_4365_8000_6469_6765_7374);
/// The collection.
pub(crate) const COLLECTION: &str = "feedback";

/// A document as it is sent.
#[derive(Debug)]
pub(crate) struct Encoded {
    /// The whole of it.
    pub(crate) bson: RawDocumentBuf,
    /// Its digest.
    pub(crate) digest: String,
}

/// Writes a document with its digest.
pub(crate) fn encode(document: &FeedbackDocument) -> Encoded {
    let mut bson = rawdoc! { "_id": document.feedback_id.as_str() };
    append_fields(&mut bson, document);
    let digest = Uuid::new_v5(&DIGESTS, bson.as_bytes()).to_string();
    bson.append(cstr!("digest"), digest.as_str());
    Encoded { bson, digest }
}

/// Adds the fields of a document.
pub(crate) fn append_fields(bson: &mut RawDocumentBuf, document: &FeedbackDocument) {
    bson.append(cstr!("feedbackId"), document.feedback_id.as_str());
    bson.append(cstr!("agentId"), document.agent_id.as_str());
    bson.append(cstr!("kind"), document.kind.as_str());
    bson.append(cstr!("roomId"), document.room_id.as_str());
    bson.append(cstr!("messageId"), document.message_id.as_str());
    bson.append(cstr!("userId"), document.user_id.as_str());
    for (name, value) in [
        (cstr!("text"), &document.text),
        (cstr!("rating"), &document.rating),
        (cstr!("reaction"), &document.reaction),
    ] {
        if let Some(value) = value {
            bson.append(name, value.as_str());
        }
    }
    bson.append(
        cstr!("createdAt"),
        DateTime::from_millis(document.created_at.0),
    );
    if document.extra.is_empty() {
        return;
    }
    match sub_document(&document.extra) {
        Some(extra) => bson.append(cstr!("extra"), extra),
        None => bson.append(cstr!("extraPairs"), pairs(&document.extra)),
    }
}

/// The fields as a document, if every name can be a field's.
fn sub_document(extra: &[TextField]) -> Option<RawDocumentBuf> {
    let mut names = HashSet::with_capacity(extra.len());
    let mut document = RawDocumentBuf::new();
    for (name, value) in extra {
        let plain = !name.is_empty() && !name.contains(['.', '$']) && names.insert(name);
        let key = CString::try_from(name.as_str()).ok().filter(|_| plain)?;
        document.append(&key, value.as_str());
    }
    Some(document)
}

fn pairs(extra: &[TextField]) -> RawArrayBuf {
    let mut array = RawArrayBuf::new();
    for (name, value) in extra {
        array.push(rawdoc! { "name": name.as_str(), "value": value.as_str() });
    }
    array
}

/// Reads a document.
pub(crate) fn decode(bson: &RawDocument) -> Result<FeedbackDocument, StoreError> {
    read(bson).map_err(|detail| StoreError::Corrupt {
        table: COLLECTION,
        detail,
    })
}

/// Reads the fields of a document; else what is wrong with them.
pub(crate) fn read(bson: &RawDocument) -> Result<FeedbackDocument, String> {
    let text = |name: &str| -> Result<String, String> {
        let text = bson.get_str(name).map_err(|error| error.to_string())?;
        Ok(text.to_owned())
    };
    let optional = |name: &str| -> Result<Option<String>, String> {
        let value = bson.get(name).map_err(|error| error.to_string())?;
        match value {
            None | Some(RawBsonRef::Null) => Ok(None),
            Some(RawBsonRef::String(text)) => Ok(Some(text.to_owned())),
            Some(_) => Err(format!("a {name} that is no text")),
        }
    };
    let agent_id = AgentId::new(text("agentId")?);
    let kind = FeedbackKind::from_field(text("kind")?);
    let created_at = bson.get_datetime("createdAt");
    let created_at = created_at.map_err(|error| error.to_string())?;
    Ok(FeedbackDocument {
        feedback_id: text("feedbackId")?,
        agent_id: agent_id.map_err(|error| format!("an agentId that {error}"))?,
        kind: kind.map_err(|error| format!("a kind that {error}"))?,
        room_id: text("roomId")?,
        message_id: text("messageId")?,
        user_id: text("userId")?,
        text: optional("text")?,
        rating: optional("rating")?,
        reaction: optional("reaction")?,
        created_at: UnixMillis(created_at.timestamp_millis()),
        extra: extra(bson)?,
    })
}

fn extra(bson: &RawDocument) -> Result<Vec<TextField>, String> {
    let value = |name| bson.get(name).map_err(|error| format!("{error}"));
    let mut extra = Vec::new();
    if let Some(RawBsonRef::Document(fields)) = value("extra")? {
        for field in fields {
            let (name, value) = field.map_err(|error| error.to_string())?;
            let value = value.as_str().ok_or("an extra field that is no text")?;
            extra.push((name.as_str().to_owned(), value.to_owned()));
        }
    }
    if let Some(RawBsonRef::Array(pairs)) = value("extraPairs")? {
        for pair in pairs {
            let pair = pair.map_err(|error| error.to_string())?;
            let pair = pair.as_document().ok_or("a pair that is no document")?;
            let part = |name| pair.get_str(name).map_err(|error| error.to_string());
            extra.push((part("name")?.to_owned(), part("value")?.to_owned()));
        }
    }
    Ok(extra)
}

#[cfg(test)]
mod tests;
