//! The documents of the batches.

use common::{AgentId, UnixMillis};
use mongodb::bson::oid::ObjectId;
use mongodb::bson::spec::BinarySubtype;
use mongodb::bson::{Binary, Bson, DateTime, Document, doc};

use crate::error::StoreError;
use crate::feedback::elements::Encoded;
use crate::mongo::number;

/// The kinds of documents.
pub(super) const ELEMENT: &str = "element";
pub(super) const FLUSH: &str = "flush";

/// An element that is to wait: an item, or many that are packed.
pub(super) fn element(
    (agent, element): (&AgentId, Encoded),
    (order, now, urgent): (i64, UnixMillis, bool),
) -> Document {
    let size = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
    let (items, bytes) = (size(element.items), size(element.bytes.len()));
    let content = String::from_utf8(element.bytes).map_or_else(
        |packed| {
            Bson::Binary(Binary {
                subtype: BinarySubtype::Generic,
                bytes: packed.into_bytes(),
            })
        },
        Bson::String,
    );
    doc! {
        "_id": ObjectId::new(),
        "kind": ELEMENT,
        "agentId": agent.as_str(),
        "order": order,
        "addedAt": date(now),
        "items": items,
        "bytes": bytes,
        "urgent": urgent,
        "requested": false,
        "element": content,
    }
}

/// The bytes of an element; of what somebody else has put there, a text of it.
pub(super) fn content(document: &Document) -> Vec<u8> {
    match document.get("element") {
        Some(Bson::String(text)) => text.clone().into_bytes(),
        Some(Bson::Binary(binary)) => binary.bytes.clone(),
        _ => document.to_string().into_bytes(),
    }
}

/// What is known of an element without its content.
pub(super) struct Waiting {
    pub(super) items: u64,
    pub(super) bytes: u64,
    pub(super) added_at: UnixMillis,
    pub(super) urgent: bool,
    pub(super) requested: bool,
    /// The mark of a taker.
    pub(super) flush: Option<String>,
}

/// The fields that [`Waiting`] needs.
pub(super) fn waiting_fields() -> Document {
    doc! {
        "agentId": 1, "items": 1, "bytes": 1, "addedAt": 1, "urgent": 1, "requested": 1, "flush": 1,
    }
}

impl Waiting {
    pub(super) fn read(document: &Document) -> Self {
        Self {
            items: number(document, "items").unwrap_or(1),
            bytes: number(document, "bytes").unwrap_or(0),
            added_at: moment(document, "addedAt").unwrap_or_default(),
            urgent: document.get_bool("urgent").unwrap_or(false),
            requested: document.get_bool("requested").unwrap_or(false),
            flush: document.get_str("flush").ok().map(str::to_owned),
        }
    }
}

/// A flush: who has the batch of an agent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Flush {
    pub(super) agent: AgentId,
    /// Empty when it was given up.
    pub(super) token: String,
    pub(super) until: UnixMillis,
    pub(super) attempts: u32,
    /// The marks of its elements.
    pub(super) tokens: Vec<String>,
}

impl Flush {
    pub(super) fn read(document: &Document) -> Result<Self, StoreError> {
        let tokens = document.get_array("tokens").map(Vec::as_slice);
        let tokens = tokens.unwrap_or_default().iter().filter_map(Bson::as_str);
        Ok(Self {
            agent: agent(document)?,
            token: document.get_str("token").unwrap_or_default().to_owned(),
            until: moment(document, "until").unwrap_or_default(),
            attempts: number(document, "attempts")
                .and_then(|attempts| u32::try_from(attempts).ok())
                .unwrap_or(1),
            tokens: tokens.map(str::to_owned).collect(),
        })
    }
}

pub(super) fn flush_id(agent: &AgentId) -> String {
    format!("{FLUSH}:{agent}")
}

/// Whose document it is.
pub(super) fn agent(document: &Document) -> Result<AgentId, StoreError> {
    let id = document.get_str("agentId").unwrap_or_default();
    AgentId::new(id).map_err(|error| StoreError::Corrupt {
        table: super::COLLECTION,
        detail: format!("an agentId that {error}"),
    })
}

pub(super) fn date(moment: UnixMillis) -> DateTime {
    DateTime::from_millis(moment.0)
}

pub(super) fn moment(document: &Document, field: &str) -> Option<UnixMillis> {
    let date = document.get_datetime(field).ok()?;
    Some(UnixMillis(date.timestamp_millis()))
}
