//! Writes the documents of a batch, and finds those that cannot be written.

use common::Unavailable;
use stores::{FeedbackDocument, FeedbackDocuments, StoreError, Upserted};

/// What became of a document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It is kept, or a newer version is.
    Kept,
    /// It can never be kept; why.
    Refused(String),
    /// Writing it alone failed; why.
    Failed(String),
}

/// Writes documents, in one call while all is well. When a call fails though the store works, it is
/// taken apart until the culprits are alone, so that the healthy ones are kept.
pub(crate) async fn write(
    store: &dyn FeedbackDocuments,
    documents: &[FeedbackDocument],
) -> Result<Vec<Outcome>, StoreError> {
    let mut outcomes = Vec::with_capacity(documents.len());
    let mut todo = vec![documents];
    while let Some(part) = todo.pop() {
        let error = match store.upsert(part).await {
            Ok(upserted) if upserted.len() == part.len() => {
                outcomes.extend(upserted.into_iter().map(outcome));
                continue;
            }
            Ok(upserted) => format!("{} outcomes of {} documents", upserted.len(), part.len()),
            Err(error) if error.is_unavailable() => return Err(error),
            Err(error) => error.to_string(),
        };
        if part.len() <= 1 {
            outcomes.extend(part.iter().map(|_| Outcome::Failed(error.clone())));
            continue;
        }
        let count = part.len();
        tracing::warn!(
            count,
            error,
            "documents cannot be written together; taking apart"
        );
        let (first, second) = part.split_at(count / 2);
        todo.push(second);
        todo.push(first);
    }
    let failed = |outcome: &Outcome| matches!(outcome, Outcome::Failed(_));
    match outcomes.first() {
        // A store that takes none of them is sick itself.
        Some(Outcome::Failed(why)) if outcomes.len() > 1 && outcomes.iter().all(failed) => {
            Err(Unavailable::new("the document store", why).into())
        }
        _ => Ok(outcomes),
    }
}

fn outcome(upserted: Upserted) -> Outcome {
    match upserted {
        Upserted::Written => {
            crate::metrics::document("written");
            Outcome::Kept
        }
        Upserted::Unchanged => {
            crate::metrics::document("unchanged");
            Outcome::Kept
        }
        Upserted::Refused(why) => Outcome::Refused(why),
    }
}
