//! A server that vanished without a word: its connections look alive and carry nothing.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use stores::Upserted;
use testkit::servers::{FaultProxy, ProxyMode, eventually_async, mongo_database};

use crate::{document, documents, store};

const PATIENCE: Duration = Duration::from_secs(3);
/// A call connects, finds a server and runs, each in its time.
const BOUND: Duration = Duration::from_secs(15);
const SOON: Duration = Duration::from_mins(1);

#[tokio::test]
async fn a_call_to_a_mongodb_that_vanished_ends_in_time_and_one_after_it_works() -> Result<()> {
    let Some(server) = mongo_database() else {
        return Ok(());
    };
    let (_, rest) = server.url().split_once("://").context("a scheme")?;
    let (address, _) = rest.split_once('/').context("a name")?;
    let proxy = FaultProxy::start(address)?;
    let url = server.url().replace(address, proxy.address());
    let store = store(&url, 1_000, PATIENCE)?;
    store.upsert(&[document("before")]).await?;

    proxy.set(ProxyMode::HalfOpen);
    for _ in 0..2 {
        let begun = Instant::now();
        let failure = store.upsert(&documents(0..10)).await.unwrap_err();
        assert!(failure.is_unavailable(), "{failure:?}");
        assert!(begun.elapsed() < BOUND, "{:?}", begun.elapsed());
    }

    proxy.set(ProxyMode::Pass);
    let all = documents(0..10);
    let again = eventually_async("an answer", SOON, async || store.upsert(&all).await.ok());
    assert_eq!(again.await?, vec![Upserted::Written; 10]);
    assert_eq!(store.count(None).await?, 11);
    Ok(())
}
