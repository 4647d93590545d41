//! Documents that a store can never keep harm no other.

use anyhow::Result;
use stores::{DOCUMENT_BYTES_MAX, FeedbackDocument, Upserted};

use crate::{Bench, agent, document, documents, later, refused};

on_every_store! {
    a_text_of_15_megabytes_is_kept,
    a_document_of_17_megabytes_is_refused_and_the_others_are_written,
    an_older_version_is_written_if_the_newer_one_is_refused,
    a_nul_is_kept_by_mongodb_and_refused_by_sql_alone,
}

const MEGABYTE: usize = 1_000_000;

fn large(id: &str, bytes: usize) -> FeedbackDocument {
    FeedbackDocument {
        text: Some("\u{e9}".repeat(bytes / 2)),
        agent_id: agent("large"),
        ..document(id)
    }
}

async fn a_text_of_15_megabytes_is_kept(bench: Bench) -> Result<()> {
    let large = large("large", 15 * MEGABYTE);
    // More than one command can carry.
    let call = [document("1"), large.clone(), document("2")];
    assert_eq!(bench.upsert(&call).await?, vec![Upserted::Written; 3]);
    assert!(bench.only("large").await? == large, "another text");
    assert_eq!(bench.count().await?, 3);
    Ok(())
}

async fn a_document_of_17_megabytes_is_refused_and_the_others_are_written(
    bench: Bench,
) -> Result<()> {
    let mut call = documents(0..9);
    call.insert(4, large("large", 17 * MEGABYTE));
    let outcomes = bench.upsert(&call).await?;
    for (number, outcome) in outcomes.iter().enumerate() {
        if number == 4 {
            let limit = DOCUMENT_BYTES_MAX.to_string();
            assert!(refused(outcome).contains(&limit), "{outcome:?}");
        } else {
            assert_eq!(*outcome, Upserted::Written, "{number}");
        }
    }
    assert_eq!(bench.count().await?, 9);
    Ok(())
}

async fn an_older_version_is_written_if_the_newer_one_is_refused(bench: Bench) -> Result<()> {
    let good = document("1");
    let newer = FeedbackDocument {
        text: Some("x".repeat(17 * MEGABYTE)),
        ..later(&good, 1)
    };
    let outcomes = bench.upsert(&[newer, good.clone()]).await?;
    assert_ne!(refused(&outcomes[0]), "");
    assert_eq!(outcomes[1], Upserted::Written);
    assert_eq!(bench.only("7").await?, good);
    Ok(())
}

async fn a_nul_is_kept_by_mongodb_and_refused_by_sql_alone(bench: Bench) -> Result<()> {
    let pair = |name: &str, value: &str| vec![(name.to_owned(), value.to_owned())];
    let with_nul = [
        FeedbackDocument {
            text: Some("a\0b".to_owned()),
            ..document("text")
        },
        FeedbackDocument {
            extra: pair("a\0", "b"),
            ..document("name")
        },
        FeedbackDocument {
            extra: pair("a", "\0"),
            ..document("value")
        },
        document("i\0d"),
    ];
    let mut call = documents(0..4);
    call.extend(with_nul.clone());
    call.extend(documents(4..8));
    let outcomes = bench.upsert(&call).await?;
    for (document, outcome) in call.iter().zip(&outcomes) {
        if bench.is_sql() && with_nul.contains(document) {
            assert!(refused(outcome).contains("NUL"), "{outcome:?}");
        } else {
            assert_eq!(*outcome, Upserted::Written, "{document:?}");
        }
    }
    let kept = bench.documents.of_agent(&agent("7"), 100).await?;
    assert_eq!(kept.len(), if bench.is_sql() { 8 } else { 12 });
    assert!(bench.is_sql() || with_nul.iter().all(|document| kept.contains(document)));
    Ok(())
}

/// What the database itself refuses, in the middle of a statement: an id that is too long for its
/// index, and that no compression helps.
#[tokio::test]
async fn what_postgresql_refuses_in_the_middle_of_a_statement_is_found_and_refused_alone()
-> Result<()> {
    let Some(bench) = Bench::on_postgres().await? else {
        return Ok(());
    };
    let id: String = std::iter::repeat_with(fastrand::alphanumeric)
        .take(6_000)
        .collect();
    let mut call = documents(0..100);
    call.insert(37, document(&id));
    let outcomes = bench.upsert(&call).await?;
    for (number, outcome) in outcomes.iter().enumerate() {
        if number == 37 {
            assert_ne!(refused(outcome), "");
        } else {
            assert_eq!(*outcome, Upserted::Written, "{number}");
        }
    }
    assert_eq!(bench.count().await?, 100);
    Ok(())
}
