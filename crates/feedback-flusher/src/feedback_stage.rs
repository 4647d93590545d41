//! The stages `feedback-replies` and `feedback-reactions`: put items into their agent's batch.
//!
//! Reads `feedback.reply.received` or `feedback.reaction.received`, writes the batch store.
//! Redelivery is harmless: an item that is added twice has the same natural id both times, so it is
//! one document and one event, whether the two lie in one batch or in two.

use std::marker::PhantomData;
use std::sync::Arc;

use common::topics::{FeedbackReactions, FeedbackReplies, groups};
use common::{Topic, Unavailable};
use stores::{FeedbackBatches, FeedbackItem, ItemOrigin};
use worker::{Batch, HeldMessages, Processor, Received, Verdicts};

use crate::item::{Feedback, ItemRules};
use crate::metrics;
use crate::open_batches::OpenBatches;

/// A topic that brings feedback.
pub(crate) trait FeedbackTopic: Topic<Message: Feedback> {
    /// The name of the stage that reads it.
    const STAGE: &'static str;
}

impl FeedbackTopic for FeedbackReplies {
    const STAGE: &'static str = "feedback-replies";
}

impl FeedbackTopic for FeedbackReactions {
    const STAGE: &'static str = "feedback-reactions";
}

/// What both stages need.
#[derive(Debug, Clone)]
pub(crate) struct Collecting {
    pub(crate) batches: Arc<dyn FeedbackBatches>,
    pub(crate) rules: ItemRules,
    pub(crate) open: OpenBatches,
}

/// Collects the feedback of one topic.
#[derive(Debug, Clone)]
pub(crate) struct FeedbackStage<T> {
    collecting: Collecting,
    /// With a store that forgets, messages are settled when their batch is flushed.
    held: Option<HeldMessages>,
    topic: PhantomData<T>,
}

impl<T: FeedbackTopic> FeedbackStage<T> {
    pub(crate) fn new(collecting: Collecting, held: Option<HeldMessages>) -> Self {
        Self {
            collecting,
            held,
            topic: PhantomData,
        }
    }

    fn item(
        &self,
        received: &Received<T::Message>,
        verdicts: &mut Verdicts,
    ) -> Option<FeedbackItem> {
        let origin = ItemOrigin {
            stream: T::INFO.name.to_owned(),
            id: received.id.to_string(),
            attempts: received.deliveries,
        };
        match self
            .collecting
            .rules
            .item(&received.message.given(), origin)
        {
            Ok(item) => Some(item),
            Err(refusal) => {
                verdicts.dead_letter(received.id, refusal.reason, refusal.detail);
                None
            }
        }
    }
}

impl<T: FeedbackTopic> Processor for FeedbackStage<T> {
    const GROUP: &'static str = groups::FEEDBACK_SERVICE;
    const STAGE: &'static str = T::STAGE;
    type Input = T;

    async fn process(&self, batch: &Batch<T>) -> anyhow::Result<Verdicts> {
        let mut verdicts = Verdicts::all_done();
        let (mut items, mut ids) = (Vec::new(), Vec::new());
        for received in &batch.messages {
            if let Some(item) = self.item(received, &mut verdicts) {
                items.push(item);
                ids.push(received.id);
            }
        }
        if items.is_empty() {
            return Ok(verdicts);
        }
        let added = self.collecting.batches.add(&items).await;
        // Items that are to blame are among those refused: any error is the store's own.
        let added = added.map_err(|error| Unavailable::new("feedback batches", error))?;
        self.collecting.open.added(&added.waiting);
        let mut count = 0;
        for (item, id) in items.iter().zip(ids) {
            let agent = &item.document.agent_id;
            let mut refused = added.refused.iter();
            if let Some(refused) = refused.find(|refused| refused.agent_id == *agent) {
                verdicts.retry(id, "batch_store_refused", &refused.why);
                continue;
            }
            count += 1;
            if self.held.is_some() {
                verdicts.later(id);
            }
        }
        metrics::added(T::STAGE, count);
        Ok(verdicts)
    }

    fn held(&self) -> Option<&HeldMessages> {
        self.held.as_ref()
    }
}

#[cfg(test)]
mod tests;
