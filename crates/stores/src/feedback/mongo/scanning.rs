//! Going through all that waits, agent by agent.

use std::collections::HashMap;

use common::{AgentId, UnixMillis};
use futures_util::TryStreamExt as _;
use mongodb::bson::{Document, doc};

use super::records::{self, ELEMENT, FLUSH, Flush, Waiting, waiting_fields};
use super::{COLLECTION, MongoFeedbackBatches};
use crate::error::StoreError;

const DOING: &str = "looking through batches of feedback";

/// What some elements come to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Tally {
    pub(super) items: u64,
    pub(super) bytes: u64,
    pub(super) created_at: UnixMillis,
    pub(super) last_item_at: UnixMillis,
    pub(super) urgent: bool,
    pub(super) requested: bool,
}

impl Tally {
    fn add(&mut self, element: &Waiting) {
        let first = self.items == 0;
        if first || element.added_at < self.created_at {
            self.created_at = element.added_at;
        }
        if first || element.added_at > self.last_item_at {
            self.last_item_at = element.added_at;
        }
        self.items = self.items.saturating_add(element.items);
        self.bytes = self.bytes.saturating_add(element.bytes);
        self.urgent |= element.urgent;
        self.requested |= element.requested;
    }
}

/// What waits of one agent.
#[derive(Debug)]
pub(super) struct Batches {
    pub(super) agent: AgentId,
    /// Who flushes, or last did.
    pub(super) flush: Option<Flush>,
    /// What is in the flush.
    pub(super) flushing: Tally,
    /// What is not.
    pub(super) open: Tally,
}

impl Batches {
    fn of(agent: AgentId, flush: Option<Flush>) -> Self {
        Self {
            agent,
            flush,
            flushing: Tally::default(),
            open: Tally::default(),
        }
    }

    fn add(&mut self, element: &Waiting) {
        let tokens = self.flush.as_ref().map(|flush| flush.tokens.as_slice());
        let mark = element.flush.as_ref();
        if mark.is_some_and(|mark| tokens.unwrap_or_default().contains(mark)) {
            self.flushing.add(element);
        } else {
            self.open.add(element);
        }
    }
}

/// Visits the batches of one agent, or of each; holds one at a time, and what is being flushed.
pub(super) async fn scan(
    store: &MongoFeedbackBatches,
    agent: Option<&AgentId>,
    mut visit: impl FnMut(Batches),
) -> Result<(), StoreError> {
    let of_kind = |kind: &str| {
        let mut filter = doc! { "kind": kind };
        filter.extend(agent.map(|agent| ("agentId".to_owned(), agent.as_str().into())));
        filter
    };
    let collection = store
        .link
        .database()
        .await?
        .collection::<Document>(COLLECTION);
    let flushes = store.link.bounded(DOING, async {
        let find = collection.find(of_kind(FLUSH));
        find.await?.try_collect::<Vec<Document>>().await
    });
    let mut flushes = flushes
        .await?
        .iter()
        .map(|flush| Flush::read(flush).map(|flush| (flush.agent.clone(), flush)))
        .collect::<Result<HashMap<_, _>, _>>()?;
    let elements = collection
        .find(of_kind(ELEMENT))
        .sort(doc! { "agentId": 1, "order": 1 })
        .projection(waiting_fields());
    let mut elements = store.link.bounded(DOING, async { elements.await }).await?;
    let mut current: Option<Batches> = None;
    // Each page in its time, not all of them.
    while let Some(element) = store.link.bounded(DOING, elements.try_next()).await? {
        let agent = records::agent(&element)?;
        if current
            .as_ref()
            .is_none_or(|batches| batches.agent != agent)
        {
            current.take().into_iter().for_each(&mut visit);
            let flush = flushes.remove(&agent);
            current = Some(Batches::of(agent, flush));
        }
        if let Some(batches) = &mut current {
            batches.add(&Waiting::read(&element));
        }
    }
    current.into_iter().for_each(visit);
    Ok(())
}
