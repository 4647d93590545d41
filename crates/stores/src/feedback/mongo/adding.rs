//! Adding items.

use std::collections::HashMap;

use common::AgentId;
use crash_points::{CrashPoint, reached};
use futures_util::TryStreamExt as _;
use mongodb::bson::{Document, doc};

use super::records::{self, ELEMENT};
use super::{COLLECTION, MongoFeedbackBatches};
use crate::error::StoreError;
use crate::feedback::batches::{Added, RefusedAgent};
use crate::feedback::documents::DOCUMENT_BYTES_MAX;
use crate::feedback::elements::{self, Encoded};
use crate::feedback::item::{FeedbackItem, by_agent};
use crate::mongo::{StatementError, number};

const DOING: &str = "adding feedback to batches";
/// Elements that one command inserts.
const ELEMENTS_MAX: usize = 1_000;
/// What an element has around its content, with room to spare.
const ELEMENT_OVERHEAD: usize = 4_096;

/// A document and its agent.
type New<'a> = (&'a AgentId, Document);

pub(super) async fn add(
    store: &MongoFeedbackBatches,
    items: &[FeedbackItem],
) -> Result<Added, StoreError> {
    if items.is_empty() {
        return Ok(Added::default());
    }
    store.prepare().await?;
    let now = store.now().await?;
    let first = store.places(items.len(), now);
    let mut refused: Vec<RefusedAgent> = Vec::new();
    let (mut agents, mut parts) = (Vec::new(), Vec::<Vec<New<'_>>>::new());
    let (mut order, mut bytes) = (first, usize::MAX);
    for (agent, items) in by_agent(items) {
        let elements = match encode(&items, store.plain_bytes_max) {
            Ok(elements) => elements,
            Err(why) => {
                refused.push(refusal(agent, why));
                continue;
            }
        };
        agents.push(agent);
        let mut left = items.as_slice();
        for element in elements {
            let (own, rest) = left.split_at(element.items.min(left.len()));
            left = rest;
            let urgent = own.iter().any(|item| item.urgent);
            let size = element.bytes.len() + ELEMENT_OVERHEAD;
            bytes = bytes.saturating_add(size);
            let is_full = parts.last().is_none_or(|part| part.len() >= ELEMENTS_MAX);
            if is_full || bytes > DOCUMENT_BYTES_MAX {
                parts.push(Vec::new());
                bytes = size;
            }
            let document = records::element((agent, element), (order, now, urgent));
            order = order.saturating_add(1);
            parts.extend_last((agent, document));
        }
    }
    for part in parts {
        refused.extend(insert(store, part).await?);
    }
    reached(CrashPoint::StoresFeedbackAdded);
    agents.retain(|agent| refused.iter().all(|refused| refused.agent_id != **agent));
    let waiting = waiting(store, &agents).await?;
    let count = |agent: &&AgentId| ((*agent).clone(), waiting.get(*agent).copied().unwrap_or(0));
    Ok(Added {
        waiting: agents.iter().map(count).collect(),
        refused,
    })
}

trait ExtendLast<T> {
    /// Adds to the last of the lists.
    fn extend_last(&mut self, value: T);
}

impl<T> ExtendLast<T> for Vec<Vec<T>> {
    fn extend_last(&mut self, value: T) {
        if let Some(last) = self.last_mut() {
            last.push(value);
        }
    }
}

fn encode(items: &[&FeedbackItem], plain_bytes_max: usize) -> Result<Vec<Encoded>, String> {
    let elements = elements::encode(items, plain_bytes_max).map_err(|error| error.to_string())?;
    let largest = elements.iter().map(|element| element.bytes.len()).max();
    let largest = largest.unwrap_or(0);
    if largest + ELEMENT_OVERHEAD > DOCUMENT_BYTES_MAX {
        return Err(format!(
            "an item has {largest} bytes when it is compressed, more than fit into a document"
        ));
    }
    Ok(elements)
}

fn refusal(agent: &AgentId, why: String) -> RefusedAgent {
    RefusedAgent {
        agent_id: agent.clone(),
        why,
    }
}

/// Inserts elements; gives the agents one of whose elements the server can never keep.
async fn insert(
    store: &MongoFeedbackBatches,
    part: Vec<New<'_>>,
) -> Result<Vec<RefusedAgent>, StoreError> {
    let (agents, documents): (Vec<_>, Vec<_>) = part.into_iter().unzip();
    let command = doc! { "insert": COLLECTION, "documents": documents, "ordered": false };
    let reply = store.write(DOING, command).await?;
    let failed = reply.failed.into_iter().filter_map(|(index, error)| {
        let (StatementError::Duplicate(why) | StatementError::Refused(why)) = error;
        Some(refusal(agents.get(index)?, why))
    });
    Ok(failed.collect())
}

/// How many items of agents wait that nobody has taken.
async fn waiting(
    store: &MongoFeedbackBatches,
    agents: &[&AgentId],
) -> Result<HashMap<AgentId, u64>, StoreError> {
    let ids: Vec<&str> = agents.iter().map(|agent| agent.as_str()).collect();
    let unmarked = doc! {
        "kind": ELEMENT, "agentId": { "$in": ids }, "flush": { "$exists": false },
    };
    let sums = doc! { "_id": "$agentId", "items": { "$sum": "$items" } };
    let pipeline = [doc! { "$match": unmarked }, doc! { "$group": sums }];
    let collection = store
        .link
        .database()
        .await?
        .collection::<Document>(COLLECTION);
    let counted = store.link.bounded(DOING, async {
        let cursor = collection.aggregate(pipeline).await?;
        cursor.try_collect::<Vec<Document>>().await
    });
    let counted = counted.await?;
    let counts = counted.iter().filter_map(|sum| {
        let agent = AgentId::new(sum.get_str("_id").ok()?).ok()?;
        Some((agent, number(sum, "items")?))
    });
    Ok(counts.collect())
}
