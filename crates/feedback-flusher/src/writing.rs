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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{FakeDocuments, document};

    async fn outcomes(ids: &[&str]) -> (Result<Vec<&'static str>, StoreError>, FakeDocuments) {
        let store = FakeDocuments::default();
        let documents: Vec<FeedbackDocument> = ids.iter().map(|id| document(id)).collect();
        let outcomes = write(&store, &documents).await;
        let name = |outcome: &Outcome| match outcome {
            Outcome::Kept => "kept",
            Outcome::Refused(_) => "refused",
            Outcome::Failed(_) => "failed",
        };
        let names = outcomes.map(|outcomes| outcomes.iter().map(name).collect());
        (names, store)
    }

    #[tokio::test]
    async fn the_healthy_are_kept_and_the_culprits_found_in_their_places() {
        for (ids, expected, calls) in [
            (&["a", "b", "c"][..], &["kept", "kept", "kept"][..], 1),
            (&[], &[], 1),
            (&["a", "refused", "c"], &["kept", "refused", "kept"], 1),
            (
                &["sick", "b", "c", "d"],
                &["failed", "kept", "kept", "kept"],
                5,
            ),
            (&["a", "b", "sick"], &["kept", "kept", "failed"], 5),
            (&["sick-1", "b", "sick-2"], &["failed", "kept", "failed"], 5),
            (&["sick"], &["failed"], 1),
        ] {
            let (outcomes, store) = outcomes(ids).await;
            assert_eq!(outcomes.expect("it works"), expected, "{ids:?}");
            assert_eq!(store.calls(), calls, "{ids:?}");
        }
    }

    #[tokio::test]
    async fn a_store_that_takes_none_of_several_is_sick_itself() {
        let (outcomes, _) = outcomes(&["sick-1", "sick-2", "sick-3"]).await;
        assert!(outcomes.is_err_and(|error| error.is_unavailable()));
    }

    #[tokio::test]
    async fn a_store_that_is_down_is_asked_once() {
        let store = FakeDocuments::default();
        store.set_down(true);
        let documents = [document("a"), document("b")];
        let error = write(&store, &documents).await.expect_err("it is down");
        assert!(error.is_unavailable());
        assert_eq!(store.calls(), 1);
    }
}
