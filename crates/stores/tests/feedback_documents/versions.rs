//! Which version of a document stays.

use anyhow::Result;
use stores::{FeedbackDocument, Upserted};

use crate::{Bench, document, documents, later};

on_every_store! {
    a_repeat_changes_nothing,
    a_later_version_replaces_an_earlier_one_and_never_the_reverse,
    of_two_versions_of_one_time_the_last_one_stays,
    fields_that_a_later_version_has_no_longer_go,
    of_two_versions_in_one_call_the_later_one_stays,
    a_call_says_of_each_document_what_became_of_it_in_its_order,
    a_call_that_is_repeated_halfway_ends_as_if_it_had_run_once,
}

async fn a_repeat_changes_nothing(bench: Bench) -> Result<()> {
    let first = documents(0..20);
    assert_eq!(bench.upsert(&first).await?, vec![Upserted::Written; 20]);
    for _ in 0..2 {
        assert_eq!(bench.upsert(&first).await?, vec![Upserted::Unchanged; 20]);
    }
    assert_eq!(bench.count().await?, 20);
    Ok(())
}

async fn a_later_version_replaces_an_earlier_one_and_never_the_reverse(bench: Bench) -> Result<()> {
    let first = document("1");
    let second = later(&first, 1);
    let earlier = later(&first, -1);
    for (version, outcome, stays) in [
        (&first, Upserted::Written, &first),
        (&earlier, Upserted::Unchanged, &first),
        (&second, Upserted::Written, &second),
        (&first, Upserted::Unchanged, &second),
        (&earlier, Upserted::Unchanged, &second),
        (&second, Upserted::Unchanged, &second),
    ] {
        assert_eq!(
            bench.upsert(std::slice::from_ref(version)).await?,
            [outcome]
        );
        assert_eq!(bench.only("7").await?, *stays);
    }
    Ok(())
}

async fn of_two_versions_of_one_time_the_last_one_stays(bench: Bench) -> Result<()> {
    let first = document("1");
    let second = later(&first, 0);
    for version in [&first, &second, &first] {
        let outcome = bench.upsert(std::slice::from_ref(version)).await?;
        assert_eq!(outcome, [Upserted::Written]);
        assert_eq!(bench.only("7").await?, *version);
    }
    Ok(())
}

async fn fields_that_a_later_version_has_no_longer_go(bench: Bench) -> Result<()> {
    let full = FeedbackDocument {
        extra: vec![("locale".to_owned(), "de".to_owned())],
        ..document("1")
    };
    let bare = FeedbackDocument {
        text: None,
        rating: None,
        extra: Vec::new(),
        ..later(&full, 1)
    };
    bench.upsert(&[full]).await?;
    assert_eq!(
        bench.upsert(std::slice::from_ref(&bare)).await?,
        [Upserted::Written]
    );
    assert_eq!(bench.only("7").await?, bare);
    Ok(())
}

async fn of_two_versions_in_one_call_the_later_one_stays(bench: Bench) -> Result<()> {
    let first = document("1");
    let (second, last) = (later(&first, 5), later(&first, 9));
    let call = [second, first.clone(), last.clone(), first.clone()];
    let expected = [
        Upserted::Unchanged,
        Upserted::Unchanged,
        Upserted::Written,
        Upserted::Unchanged,
    ];
    assert_eq!(bench.upsert(&call).await?, expected);
    assert_eq!(bench.only("7").await?, last);

    // Of the same time: the last of the call.
    let (one, two) = (
        later(&last, 1),
        FeedbackDocument {
            user_id: "bob".to_owned(),
            ..later(&last, 1)
        },
    );
    let outcome = bench.upsert(&[one, two.clone()]).await?;
    assert_eq!(outcome, [Upserted::Unchanged, Upserted::Written]);
    assert_eq!(bench.only("7").await?, two);
    Ok(())
}

async fn a_call_says_of_each_document_what_became_of_it_in_its_order(bench: Bench) -> Result<()> {
    let there = documents(0..30);
    bench.upsert(&there).await?;
    let mut expected = Vec::new();
    let mut call = Vec::new();
    for (number, old) in there.iter().enumerate() {
        let (document, outcome) = match number % 5 {
            0 => (old.clone(), Upserted::Unchanged),
            1 => (later(old, -1), Upserted::Unchanged),
            2 => (later(old, 1), Upserted::Written),
            3 => (later(old, 0), Upserted::Written),
            _ => (document(&format!("new {number}")), Upserted::Written),
        };
        call.push(document);
        expected.push(outcome);
    }
    for part in [1_000, 7] {
        let outcomes = bench.in_small_parts(part)?.upsert(&call).await?;
        assert_eq!(outcomes, expected, "parts of {part}");
        expected = vec![Upserted::Unchanged; call.len()];
    }
    assert_eq!(bench.count().await?, 36);
    Ok(())
}

async fn a_call_that_is_repeated_halfway_ends_as_if_it_had_run_once(bench: Bench) -> Result<()> {
    let all = documents(0..40);
    bench.upsert(&all[..15]).await?;
    let outcomes = bench.in_small_parts(10)?.upsert(&all).await?;
    let (first, second) = outcomes.split_at(15);
    assert_eq!(first, vec![Upserted::Unchanged; 15]);
    assert_eq!(second, vec![Upserted::Written; 25]);
    assert_eq!(bench.count().await?, 40);
    Ok(())
}
