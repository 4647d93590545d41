//! How Redis is, also when it is not.

use anyhow::{Context as _, Result};
use serde_json::{Value, json};
use testkit::servers::{RedisServer, eventually, or_skip};

use crate::bench::{Bench, SOON, at, code_of, verdict};

const HEALTH: &str = "/api/admin/system/redis-health";

#[tokio::test]
async fn redis_health_has_the_shape_that_monitors_expect() -> Result<()> {
    let Some(bench) = Bench::start(&[])? else {
        return Ok(());
    };
    bench.publish(10).await?;
    bench
        .settle(10, |settlement, number, id| match number {
            0..4 => settlement.done.push(id),
            4..7 => settlement.dead.push(verdict(id, "hopeless")),
            7..9 => settlement.retry.push(verdict(id, "timeout")),
            _ => {}
        })
        .await?;
    bench.publish(5).await?;
    let mut health = bench.json(HEALTH)?;
    let memory = health
        .as_object_mut()
        .and_then(|health| health.remove("memoryUsage"));
    let memory = memory.context("no memory")?;
    let [used, total] = ["/used", "/total"].map(|name| at(&memory, name).as_u64());
    let (used, total) = used.zip(total).context("no bytes")?;
    assert!(0 < used && used < total, "{memory}");
    let percent = at(&memory, "/percentUsed")
        .as_f64()
        .context("no percentage")?;
    assert!((0.0..100.0).contains(&percent), "{memory}");
    assert_eq!(memory.as_object().map(serde_json::Map::len), Some(3));
    let version = health
        .as_object_mut()
        .and_then(|health| health.remove("version"));
    assert!(version.is_some_and(|version| version.as_str().is_some_and(|v| v.contains('.'))));
    let expected = json!({
        "status": "healthy",
        "connected": true,
        "queueStats": { "waiting": 7, "active": 1, "completed": 4, "failed": 3 },
    });
    assert_eq!(health, expected);
    Ok(())
}

#[tokio::test]
async fn a_redis_that_is_down_is_unhealthy_and_what_is_not_known_is_null() -> Result<()> {
    let Some(redis) = or_skip("redis-server", RedisServer::start()) else {
        return Ok(());
    };
    let bench = Bench::on(redis.url(), &[])?;
    redis.kill()?;
    let expected = json!({
        "status": "unhealthy",
        "connected": false,
        "version": null,
        "memoryUsage": { "used": null, "total": null, "percentUsed": null },
        "queueStats": { "waiting": null, "active": null, "completed": null, "failed": null },
    });
    assert_eq!(bench.json(HEALTH)?, expected);
    for path in ["/api/audit", "/api/streams/info", "/api/dead-letters"] {
        let answer = bench.get(path)?;
        assert_eq!(code_of(&answer, 503)?, "bus_unavailable", "{path}");
        assert!(answer.header("Retry-After").is_some());
    }
    let page = bench.get("/")?;
    assert_eq!(page.status, 200);
    assert!(page.body.contains("Redis does not answer"), "{}", page.body);
    assert!(page.body.contains(&redis.address()), "{}", page.body);

    redis.restart()?;
    eventually("it to be healthy", SOON, || {
        let health = bench.json(HEALTH).ok()?;
        (at(&health, "/connected") == &Value::Bool(true)).then_some(())
    })
}

#[tokio::test]
async fn a_redis_that_hangs_does_not_make_its_health_hang() -> Result<()> {
    let Some(redis) = or_skip("redis-server", RedisServer::start()) else {
        return Ok(());
    };
    let bench = Bench::on(redis.url(), &[])?;
    redis.pause()?;
    // The client waits for five seconds at most.
    let health = bench.json(HEALTH);
    redis.resume()?;
    assert_eq!(at(&health?, "/connected"), false);
    Ok(())
}
