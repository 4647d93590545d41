//! Many writers of the same documents.

use std::collections::BTreeMap;

use anyhow::Result;
use stores::{FeedbackDocument, Upserted};
use tokio::task::JoinSet;

use crate::{Bench, agent, document, later};

on_every_store! {
    eight_writers_of_the_same_documents_leave_one_of_each_and_the_newest,
}

const WRITERS: usize = 8;
const DOCUMENTS: usize = 24;
const VERSIONS: i64 = 6;

/// Each with a client of its own, as processes have, and in an order of its own.
async fn eight_writers_of_the_same_documents_leave_one_of_each_and_the_newest(
    bench: Bench,
) -> Result<()> {
    let mut newest = BTreeMap::new();
    let mut writers = JoinSet::new();
    for writer in 0..WRITERS {
        let mut versions = versions(writer);
        for version in &versions {
            let newer: &mut FeedbackDocument = newest
                .entry(version.feedback_id.clone())
                .or_insert_with(|| version.clone());
            if version.created_at > newer.created_at {
                *newer = version.clone();
            }
        }
        fastrand::shuffle(&mut versions);
        let bench = bench.in_small_parts(10)?;
        writers.spawn(async move {
            for call in versions.chunks(48) {
                for outcome in bench.upsert(call).await? {
                    assert!(!matches!(outcome, Upserted::Refused(_)), "{outcome:?}");
                }
            }
            anyhow::Ok(())
        });
    }
    while let Some(writer) = writers.join_next().await {
        writer??;
    }
    assert_eq!(bench.count().await?, u64::try_from(DOCUMENTS)?);
    let kept = bench.documents.of_agent(&agent("7"), 1_000).await?;
    let kept: BTreeMap<_, _> = kept
        .into_iter()
        .map(|document| (document.feedback_id.clone(), document))
        .collect();
    assert_eq!(kept, newest);
    Ok(())
}

/// Every version of every document has a time of its own.
fn versions(writer: usize) -> Vec<FeedbackDocument> {
    let of_document = |number: usize| {
        let first = document(&format!("d-{number}"));
        (0..VERSIONS).map(move |version| {
            let writer = i64::try_from(writer).unwrap();
            later(&first, version * i64::try_from(WRITERS).unwrap() + writer)
        })
    };
    (0..DOCUMENTS).flat_map(of_document).collect()
}
