//! What is left after a server died.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use stores::RedisBatchOptions;
use testkit::servers::{RedisServer, eventually, or_skip, redis_cli};

use crate::{Bench, ITEMS_MAX, LONG, OPTIONS, SOON, agent, batches_at, ids, items, lease};

fn bench_at(url: &str, options: RedisBatchOptions) -> Result<Bench> {
    Ok(Bench {
        batches: Arc::new(batches_at(url, options)?),
        database: None,
        mongo: None,
    })
}

#[tokio::test]
async fn a_server_that_is_killed_and_comes_back_has_everything_and_its_leases() -> Result<()> {
    let Some(redis) = or_skip("redis-server", RedisServer::start()) else {
        return Ok(());
    };
    let bench = bench_at(redis.url(), OPTIONS)?;
    bench.add(&items("a", 0..3)).await?;
    bench.add(&items("b", 0..500)).await?;
    let taken = bench.take(&agent("a"), LONG, 2).await?;
    redis.kill()?;
    let failure = bench.batches.add(&items("c", 0..1)).await.unwrap_err();
    assert!(failure.is_unavailable(), "{failure}");
    redis.restart()?;
    assert!(!bench.is_takeable(&agent("a")).await?);
    assert!(bench.batches.finish(&taken).await?);
    assert_eq!(ids(&bench.take(&agent("a"), LONG, 2).await?), ["2"]);
    let of_b = bench.take(&agent("b"), LONG, ITEMS_MAX).await?;
    assert_eq!(of_b.items, items("b", 0..500));
    Ok(())
}

#[tokio::test]
async fn what_too_few_replicas_have_does_not_count_as_added() -> Result<()> {
    let Some(redis) = or_skip("redis-server", RedisServer::start()) else {
        return Ok(());
    };
    let options = RedisBatchOptions {
        replicas: 1,
        replicas_wait: Duration::from_millis(100),
        ..OPTIONS
    };
    let alone = bench_at(redis.url(), options)?;
    let failure = alone.batches.add(&items("a", 0..1)).await.unwrap_err();
    assert!(failure.is_unavailable(), "{failure}");
    let port = redis.port().to_string();
    let replica = RedisServer::start_with(&["--replicaof", "127.0.0.1", &port])?;
    eventually("a replica that follows", SOON, || {
        let info = redis_cli(replica.url(), &["INFO", "replication"]).ok()?;
        info.contains("master_link_status:up").then_some(())
    })?;
    let patient = RedisBatchOptions {
        replicas_wait: SOON,
        ..options
    };
    let bench = bench_at(redis.url(), patient)?;
    redis_cli(redis.url(), &["SCRIPT", "FLUSH"])?;
    let added = bench.batches.add(&items("b", 0..5)).await?;
    assert_eq!(added.waiting, [(agent("b"), 5)]);
    // A failover that loses the first server loses none of them.
    redis.kill()?;
    redis_cli(replica.url(), &["REPLICAOF", "NO", "ONE"])?;
    let after = bench_at(replica.url(), OPTIONS)?;
    let taken = after.batches.take(&agent("b"), &lease(LONG, 10)).await?;
    assert_eq!(taken.map(|taken| taken.items), Some(items("b", 0..5)));
    Ok(())
}
