//! A server that is away, and one that dies while documents are written.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::{Context as _, Result};
use stores::{FeedbackDocument, StoreError, Upserted};
use testkit::servers::{LocalServer, eventually_async};
use tokio::task::JoinSet;

use crate::{Bench, agent, documents, own_mongodb, own_postgres, store};

const SOON: Duration = Duration::from_mins(1);
const WRITTEN_BEFORE: usize = 3;
const CALLS: usize = 200;
const PER_CALL: usize = 10;

#[tokio::test]
async fn mongodb_that_is_away_is_unavailable_until_it_is_back() -> Result<()> {
    match own_mongodb().await? {
        Some((server, bench)) => away_and_back(&server, &bench).await,
        None => Ok(()),
    }
}

#[tokio::test]
async fn postgresql_that_is_away_is_unavailable_until_it_is_back() -> Result<()> {
    match own_postgres().await? {
        Some((server, bench)) => away_and_back(&server, &bench).await,
        None => Ok(()),
    }
}

#[tokio::test]
async fn what_mongodb_said_is_written_is_there_after_it_was_killed() -> Result<()> {
    match own_mongodb().await? {
        Some((server, bench)) => killed_while_writing(&server, bench).await,
        None => Ok(()),
    }
}

#[tokio::test]
async fn what_postgresql_said_is_written_is_there_after_it_was_killed() -> Result<()> {
    match own_postgres().await? {
        Some((server, bench)) => killed_while_writing(&server, bench).await,
        None => Ok(()),
    }
}

/// A worker may start before its server.
#[tokio::test]
async fn a_server_that_was_never_there_is_unavailable() -> Result<()> {
    let address = testkit::servers::free_address()?;
    for url in [
        format!("mongodb://{address}/feedback"),
        format!("postgres://nobody@{address}/feedback"),
    ] {
        let documents = store(&url, 1_000, Duration::from_secs(2))?;
        for failure in [
            documents.prepare().await.unwrap_err(),
            documents.upsert(&crate::documents(0..3)).await.unwrap_err(),
        ] {
            assert!(failure.is_unavailable(), "{failure:?}");
        }
    }
    Ok(())
}

async fn away_and_back(server: &LocalServer, bench: &Bench) -> Result<()> {
    let before = documents(0..10);
    bench.upsert(&before).await?;
    server.stop()?;
    let documents = &bench.documents;
    let agent = agent("7");
    let (written, read, counted) = tokio::join!(
        bench.upsert(&before),
        documents.of_agent(&agent, 10),
        documents.count(None),
    );
    let failures: [StoreError; 3] = [
        written.unwrap_err(),
        read.unwrap_err(),
        counted.unwrap_err(),
    ];
    for failure in failures {
        assert!(failure.is_unavailable(), "{failure:?}");
    }

    server.restart()?;
    let back = eventually_async("the server", SOON, async || {
        bench.upsert(&before).await.ok()
    });
    assert_eq!(back.await?, vec![Upserted::Unchanged; 10]);
    assert_eq!(bench.count().await?, 10);
    Ok(())
}

/// Whoever got an answer finds the document afterwards; who got none writes it again, once.
async fn killed_while_writing(server: &LocalServer, bench: Bench) -> Result<()> {
    let calls: Vec<_> = (0..CALLS)
        .map(|call| documents(call * PER_CALL..(call + 1) * PER_CALL))
        .collect();
    let done = Arc::new(AtomicUsize::new(0));
    let mut writer = JoinSet::new();
    writer.spawn(write_all(bench.clone(), calls.clone(), Arc::clone(&done)));
    let enough = async || (done.load(Ordering::Relaxed) >= WRITTEN_BEFORE).then_some(());
    eventually_async("some calls", SOON, enough).await?;
    server.kill()?;
    let ended = writer.join_next().await.context("no writer")??;
    let failure = ended.err().context("every call was answered")?;
    assert!(failure.is_unavailable(), "{failure:?}");

    server.restart()?;
    let answered = done.load(Ordering::Relaxed);
    let count = async || bench.count().await.ok();
    let kept = eventually_async("the server", SOON, count).await?;
    let least = u64::try_from(answered * PER_CALL)?;
    assert!((least..=least + 10).contains(&kept), "{least} and {kept}");
    let outcomes = bench.upsert(&calls.concat()).await?;
    let (first, _) = outcomes.split_at(answered * PER_CALL);
    assert_eq!(first, vec![Upserted::Unchanged; first.len()]);
    assert_eq!(bench.count().await?, u64::try_from(CALLS * PER_CALL)?);
    Ok(())
}

/// Writes one call after the other until one fails.
async fn write_all(
    bench: Bench,
    calls: Vec<Vec<FeedbackDocument>>,
    done: Arc<AtomicUsize>,
) -> Result<(), StoreError> {
    for call in calls {
        bench.upsert(&call).await?;
        done.fetch_add(1, Ordering::Relaxed);
    }
    Ok(())
}
