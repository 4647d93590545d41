//! The messages that wait for their flush in hand, because the batch store forgets with its process.

use common::topics::{FeedbackReactions, FeedbackReplies, Topic as _};
use stores::FeedbackItem;
use worker::HeldMessages;

/// What both stages hold.
#[derive(Debug, Clone)]
pub(crate) struct Holding {
    pub(crate) replies: HeldMessages,
    pub(crate) reactions: HeldMessages,
}

impl Holding {
    /// At most so many for each stage.
    pub(crate) fn new(most: usize) -> Self {
        Self {
            replies: HeldMessages::new(most),
            reactions: HeldMessages::new(most),
        }
    }

    /// The work of the messages that brought these items is done.
    pub(crate) fn done(&self, items: &[FeedbackItem]) {
        for (topic, held) in [
            (FeedbackReplies::INFO, &self.replies),
            (FeedbackReactions::INFO, &self.reactions),
        ] {
            let origins = items.iter().map(|item| &item.origin);
            let origins = origins.filter(|origin| origin.stream == topic.name);
            let ids: Vec<_> = origins
                .filter_map(|origin| origin.id.parse().ok())
                .collect();
            if !ids.is_empty() {
                held.done(&ids);
            }
        }
    }

    /// Whether a stage waits until something is flushed.
    pub(crate) fn is_full(&self) -> bool {
        self.replies.is_full() || self.reactions.is_full()
    }

    /// Waits until both stages have stopped reading.
    pub(crate) async fn reading_ended(&self) {
        self.replies.reading_ended().await;
        self.reactions.reading_ended().await;
    }

    /// What is not flushed now comes again elsewhere.
    pub(crate) fn hand_back(&self) {
        self.replies.hand_back();
        self.reactions.hand_back();
    }
}
