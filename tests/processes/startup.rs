//! A worker starts before its servers and waits for them, unless told to fail fast.

use std::collections::BTreeMap;

use anyhow::Result;
use testkit::servers::{
    PostgresServer, RedisServer, WorkerProcess, free_address, http_get, or_skip, postgres_database,
    redis_database,
};

use crate::running::{OWN_DATABASE, Running, SOON, WORKERS};

#[test]
fn a_worker_waits_for_its_servers_says_so_and_gets_ready() -> Result<()> {
    let Some(redis) = or_skip("redis-server", RedisServer::start()) else {
        return Ok(());
    };
    let Some(postgres) = or_skip("PostgreSQL", PostgresServer::start()) else {
        return Ok(());
    };
    let database = postgres.create_database()?;
    redis.kill()?;
    postgres.kill()?;
    let variables = [("REDIS_URL", redis.url()), ("DATABASE_URL", database.url())];
    let mut workers = WORKERS
        .iter()
        .map(|worker| Running::start(worker, &[], &variables))
        .collect::<Result<Vec<_>>>()?;
    for worker in &workers {
        let why = worker.waits_for("redis")?;
        assert!(why.contains("refused"), "{why}");
        let live = http_get(&worker.ops, "/live")?;
        assert_eq!(live.status, 200, "{live:?}");
    }
    redis.restart()?;
    for worker in &workers {
        let why = worker.waits_for("sql")?;
        assert!(why.contains("sql is unavailable"), "{why}");
        assert!(!worker.waiting_for()?.contains_key("redis"));
    }
    postgres.restart()?;
    for worker in &workers {
        worker.says("run `millrace migrate`")?;
        assert!(worker.waits_for("sql")?.contains("run `millrace migrate`"));
    }
    let mut migrate = WorkerProcess::start("millrace", &["migrate"], &variables)?;
    assert!(migrate.wait(SOON)?.success(), "{}", migrate.log());
    for worker in &mut workers {
        worker.process.wait_ready(&worker.ops, SOON)?;
        assert_eq!(http_get(&worker.ops, "/live")?.status, 200);
        assert_eq!(worker.process.terminate(SOON)?.code(), Some(0));
    }
    Ok(())
}

/// Runs a worker that must fail at start and gives what it said.
fn failure(worker: &str, arguments: &[&str], variables: &[(&str, &str)]) -> Result<String> {
    let mut running = Running::start(worker, arguments, variables)?;
    let code = running.exit_code()?;
    assert_eq!(code, Some(1), "{}", running.process.log());
    Ok(running.process.log())
}

#[test]
fn a_worker_that_fails_fast_does_not_wait_for_redis() -> Result<()> {
    let nobody = format!("redis://{}", free_address()?);
    for worker in WORKERS {
        let variables = [("REDIS_URL", nobody.as_str()), OWN_DATABASE];
        let output = failure(worker, &["--fail-fast"], &variables)?;
        assert!(output.contains("redis is unavailable"), "{output}");
        assert!(!output.contains("waiting for"), "{output}");
    }
    Ok(())
}

#[test]
fn a_worker_that_fails_fast_does_not_wait_for_tables() -> Result<()> {
    let (Some(redis), Some(sql)) = (redis_database(), postgres_database()) else {
        return Ok(());
    };
    for worker in WORKERS {
        let variables = [
            ("REDIS_URL", redis.url()),
            ("DATABASE_URL", sql.url()),
            ("FAIL_FAST", "true"),
        ];
        let output = failure(worker, &[], &variables)?;
        let last = output.lines().last().unwrap_or_default();
        assert!(last.contains("run `millrace migrate`"), "{output}");
    }
    Ok(())
}

/// The settings of a server are not the worker's: 1, not 64, so that who supervises it tries again.
#[test]
fn a_redis_that_may_evict_work_is_refused_unless_that_is_allowed() -> Result<()> {
    let evicting = RedisServer::start_with(&["--maxmemory-policy", "allkeys-lru"]);
    let Some(redis) = or_skip("redis-server", evicting) else {
        return Ok(());
    };
    for worker in WORKERS {
        let variables = [("REDIS_URL", redis.url()), OWN_DATABASE];
        let output = failure(worker, &[], &variables)?;
        let last = output.lines().last().unwrap_or_default();
        for words in [
            "maxmemory-policy is allkeys-lru",
            "CONFIG SET maxmemory-policy noeviction",
            "--allow-eviction",
        ] {
            assert!(last.contains(words), "{words}: {output}");
        }
        let allowed = [variables.as_slice(), &[("ALLOW_EVICTION", "true")]].concat();
        let mut running = Running::ready(worker, &allowed)?;
        running.says("redis may evict unprocessed work")?;
        assert_eq!(running.process.terminate(SOON)?.code(), Some(0));
    }
    Ok(())
}

#[test]
fn a_ready_worker_waits_for_nothing() -> Result<()> {
    let Some(redis) = redis_database() else {
        return Ok(());
    };
    for worker in WORKERS {
        let running = Running::ready(worker, &[("REDIS_URL", redis.url()), OWN_DATABASE])?;
        let answer = http_get(&running.ops, "/ready")?;
        let body: BTreeMap<String, String> = serde_json::from_str(&answer.body)?;
        let expected = [("status", "ready"), ("worker", worker)];
        let expected = expected.map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert_eq!(body, expected.into());
        assert_eq!(http_get(&running.ops, "/elsewhere")?.status, 404);
    }
    Ok(())
}
