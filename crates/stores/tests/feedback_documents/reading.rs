//! Reading what was written.

use anyhow::Result;
use stores::FeedbackDocument;

use crate::{Bench, agent, document, later};

on_every_store! {
    the_newest_documents_of_an_agent_come_first,
    documents_are_counted_of_an_agent_and_of_all,
    a_store_that_is_prepared_twice_is_as_before,
}

async fn the_newest_documents_of_an_agent_come_first(bench: Bench) -> Result<()> {
    // Neither in the order of time nor of the ids.
    let mut written: Vec<_> = (0..12)
        .map(|number| later(&document(&format!("{}", number * 7 % 12)), number * 5 % 12))
        .collect();
    bench.upsert(&written).await?;
    let other = FeedbackDocument {
        agent_id: agent("other"),
        ..later(&document("of another"), 99)
    };
    bench.upsert(&[other]).await?;

    written.sort_by_key(|document| std::cmp::Reverse(document.created_at));
    assert_eq!(bench.documents.of_agent(&agent("7"), 100).await?, written);
    let newest = bench.documents.of_agent(&agent("7"), 3).await?;
    assert_eq!(newest, written[..3]);
    assert_eq!(bench.documents.of_agent(&agent("7"), 0).await?, []);
    assert_eq!(bench.documents.of_agent(&agent("nobody"), 9).await?, []);
    Ok(())
}

async fn documents_are_counted_of_an_agent_and_of_all(bench: Bench) -> Result<()> {
    assert_eq!(bench.count().await?, 0);
    bench.upsert(&crate::documents(0..5)).await?;
    let other = FeedbackDocument {
        agent_id: agent("other"),
        ..document("of another")
    };
    bench.upsert(&[other]).await?;
    assert_eq!(bench.count().await?, 6);
    for (id, expected) in [("7", 5), ("other", 1), ("nobody", 0)] {
        assert_eq!(bench.documents.count(Some(&agent(id))).await?, expected);
    }
    Ok(())
}

async fn a_store_that_is_prepared_twice_is_as_before(bench: Bench) -> Result<()> {
    bench.upsert(&[document("1")]).await?;
    bench.documents.prepare().await?;
    assert_eq!(bench.only("7").await?, document("1"));
    Ok(())
}
