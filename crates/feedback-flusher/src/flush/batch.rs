//! The pure part of a flush: which documents a batch has, and what becomes of each.

use std::collections::{BTreeMap, HashMap};

use stores::{FeedbackDocument, FeedbackItem};

use crate::late_letters::GivenUp;
use crate::metrics;
use crate::writing::Outcome;

/// The documents of items: of several with one natural id the one that was created last; of those
/// the last one. In the order in which their ids first came.
pub(super) fn newest(items: &[FeedbackItem]) -> impl Iterator<Item = &FeedbackDocument> {
    let mut places: HashMap<&str, usize> = HashMap::with_capacity(items.len());
    let mut newest: Vec<&FeedbackDocument> = Vec::with_capacity(items.len());
    for FeedbackItem { document, .. } in items {
        let place = *places.entry(&document.feedback_id).or_insert(newest.len());
        match newest.get_mut(place) {
            Some(known) if document.created_at >= known.created_at => *known = document,
            Some(_) => {}
            None => newest.push(document),
        }
    }
    newest.into_iter()
}

/// The documents of a batch by what becomes of them.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Sorted<'a> {
    /// They are in the store.
    pub(super) kept: Vec<&'a FeedbackDocument>,
    /// They become dead letters: the natural id, the reason's code and words.
    pub(super) given_up: BTreeMap<&'a str, (&'static str, String)>,
    /// Why others could not be written; they are tried again.
    pub(super) waiting: Vec<String>,
}

impl<'a> Sorted<'a> {
    /// `has_failed_enough` counts a failed try of a document and says whether it was the last.
    pub(super) fn of(
        documents: &'a [FeedbackDocument],
        outcomes: Vec<Outcome>,
        has_failed_enough: impl Fn(&str) -> bool,
    ) -> Self {
        let mut sorted = Self::default();
        for (document, outcome) in documents.iter().zip(outcomes) {
            let id = document.feedback_id.as_str();
            match outcome {
                Outcome::Kept => sorted.kept.push(document),
                Outcome::Refused(why) => {
                    metrics::document("refused");
                    sorted.given_up.insert(id, ("document_refused", why));
                }
                Outcome::Failed(why) if has_failed_enough(id) => {
                    metrics::document("failed");
                    sorted.given_up.insert(id, ("document_failed", why));
                }
                Outcome::Failed(why) => sorted.waiting.push(why),
            }
        }
        sorted
    }

    /// The letters of all items whose document is given up: each brought a message of its own.
    pub(super) fn letters<'b>(&self, items: &'b [FeedbackItem], attempts: u32) -> Vec<GivenUp<'b>> {
        let given_up = |item: &'b FeedbackItem| {
            let id = item.document.feedback_id.as_str();
            let (reason, why) = self.given_up.get(id)?;
            Some(GivenUp {
                item,
                reason,
                error: why.clone(),
                attempts,
            })
        };
        items.iter().filter_map(given_up).collect()
    }
}
