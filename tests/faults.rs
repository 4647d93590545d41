//! Workers and servers are killed in the middle of a run; afterwards every accepted event is
//! counted exactly once, and nothing waits for ever.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Result, anyhow};
use common::topics::{EventsNormalized, EventsRaw, EventsRejected, Topic as _};
use testkit::servers::{RedisServer, eventually, or_skip};
use tests::{Sale, Sender, SqlServer, Stack, sqlite};

const DRAINED: Duration = Duration::from_mins(3);
const FAULT: Duration = Duration::from_mins(2);
/// Buyers; few, so that their rows are fought over.
const BUYERS: u64 = 97;
const BATCH: u64 = 50;
const SALES: u64 = 10_000;

fn sale(number: u64) -> Sale {
    Sale {
        event_id: format!("sale-{number}"),
        user_id: format!("buyer-{}", number * 31 % BUYERS),
        timestamp: format!("2026-01-{:02}T12:00:00Z", 1 + number % 28),
        cents: i64::try_from(number % 10_000).unwrap_or(0),
    }
}

/// Sends all sales from a thread of its own while `faults` happen, one after every tenth part.
async fn send_through(mut stack: Stack, faults: &[Fault]) -> Result<()> {
    let sent = AtomicU64::new(0);
    let failed = AtomicBool::new(false);
    let api = stack.api.clone();
    let sender = std::thread::scope(|scope| -> Result<Sender> {
        let sending = scope.spawn(|| {
            let mut sender = Sender::new(&api, "shop");
            for first in (0..SALES).step_by(usize::try_from(BATCH)?) {
                let sales: Vec<Sale> = (first..first + BATCH).map(sale).collect();
                let result = sender.send(&sales);
                failed.fetch_or(result.is_err(), Ordering::Relaxed);
                result?;
                sent.store(first + BATCH, Ordering::Relaxed);
            }
            Ok(sender)
        });
        for (number, fault) in (1..).zip(faults) {
            let progress = number * SALES / 10;
            eventually("the sender to get on", FAULT, || {
                let there = sent.load(Ordering::Relaxed) >= progress;
                (there || failed.load(Ordering::Relaxed)).then_some(())
            })?;
            fault(&mut stack)?;
        }
        sending.join().map_err(|_| anyhow!("the sender panicked"))?
    })?;
    stack.wait_drained(DRAINED).await?;
    assert_eq!(sender.ledger.len(), i64::try_from(SALES)?);
    sender.ledger.check(&stack, "shop").await?;
    check_conservation(&stack).await
}

type Fault = fn(&mut Stack) -> Result<()>;

fn kill_ingestion(stack: &mut Stack) -> Result<()> {
    stack.replace_ingestion()
}

fn kill_processors(stack: &mut Stack) -> Result<()> {
    stack.replace_processors()
}

fn kill_redis(stack: &mut Stack) -> Result<()> {
    stack.redis.kill()?;
    stack.redis.restart()
}

fn kill_sql(stack: &mut Stack) -> Result<()> {
    stack.sql.restart()
}

const FAULTS: [Fault; 8] = [
    kill_processors,
    kill_ingestion,
    kill_redis,
    kill_sql,
    kill_processors,
    kill_sql,
    kill_redis,
    kill_ingestion,
];

/// `published = done + dead + pending + undelivered`, per stream and group.
async fn check_conservation(stack: &Stack) -> Result<()> {
    let bus = stack.bus()?;
    assert_eq!(bus.overview(&EventsRejected::INFO).await?.published, 0);
    for topic in [EventsRaw::INFO, EventsNormalized::INFO] {
        let overview = bus.overview(&topic).await?;
        assert_eq!(overview.dead_letters, 0, "{}", topic.name);
        for group in &overview.groups {
            let settled = group.done + group.dead;
            let accounted = settled + group.pending + group.undelivered.count + group.vanished;
            assert_eq!(overview.published, accounted, "{group:?}");
        }
    }
    Ok(())
}

#[tokio::test]
async fn killed_workers_and_servers_lose_and_double_nothing_on_sqlite() -> Result<()> {
    let Some(redis) = or_skip("redis-server", RedisServer::start()) else {
        return Ok(());
    };
    send_through(Stack::start(redis, sqlite()?, &[]).await?, &FAULTS).await
}

#[tokio::test]
async fn killed_workers_and_servers_lose_and_double_nothing_on_postgres() -> Result<()> {
    let Some(redis) = or_skip("redis-server", RedisServer::start()) else {
        return Ok(());
    };
    let Some(sql) = SqlServer::postgres() else {
        return Ok(());
    };
    send_through(Stack::start(redis, sql, &[]).await?, &FAULTS).await
}

#[tokio::test]
async fn two_of_every_worker_share_the_work_through_the_same_faults() -> Result<()> {
    let Some(redis) = or_skip("redis-server", RedisServer::start()) else {
        return Ok(());
    };
    let Some(sql) = SqlServer::postgres() else {
        return Ok(());
    };
    let stack = Stack::start(redis, sql, &[("BATCH_MAX", "64")]).await?;
    let normalizer = stack.another("ingestion", &[("INGESTION_ROLE", "normalizer")])?;
    let processors = stack.another("event-processors", &[])?;
    let result = send_through(stack, &FAULTS).await;
    drop((normalizer, processors));
    result
}
