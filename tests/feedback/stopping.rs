//! A signal to stop: what is in hand is finished, and nothing is lost.

use anyhow::Result;
use tests::SqlServer;

use crate::bench::Bench;
use crate::given::{reaction, replies};

in_worlds! {
    redis_sqlite { what_waits_stays_for_the_next_flusher, }
    memory_sqlite {
        what_would_be_forgotten_is_flushed_before_the_end,
    }
    memory_postgres { what_cannot_be_flushed_is_handed_back_and_another_gets_it_at_once, }
}

async fn what_waits_stays_for_the_next_flusher(bench: Bench) -> Result<()> {
    let mut flusher = bench.flusher(&[])?;
    bench.reply(&replies("7", 0..4)).await?;
    bench
        .cli_answers(&["LLEN", "feedback:batch:7"], &["4"])
        .await?;
    flusher.stop()?;
    bench
        .cli_answers(&["LLEN", "feedback:batch:7"], &["4"])
        .await?;
    assert_eq!(flusher.flushes(), 0);
    let _next = bench.flusher(&[])?;
    bench.reply(&replies("7", 4..10)).await?;
    bench.all_told(10).await
}

async fn what_would_be_forgotten_is_flushed_before_the_end(bench: Bench) -> Result<()> {
    let mut flusher = bench.flusher(&[])?;
    for agent in ["7", "8", "9"] {
        bench.reply(&replies(agent, 0..4)).await?;
        bench.react(&[reaction(agent, 1, "👍")]).await?;
    }
    bench.held(15).await?;
    flusher.stop()?;
    bench.all_told(15).await?;
    assert_eq!(flusher.flushes(), 3);
    Ok(())
}

async fn what_cannot_be_flushed_is_handed_back_and_another_gets_it_at_once(
    bench: Bench,
) -> Result<()> {
    // The lease is an hour: what the next one gets was handed back.
    let long = ("LEASE_MS", "3600000");
    let mut flusher = bench.flusher(&[long])?;
    bench.reply(&replies("7", 0..4)).await?;
    bench.held(4).await?;
    let SqlServer::Postgres(server) = &bench.sql else {
        return Ok(());
    };
    server.kill()?;
    flusher.stop()?;
    server.restart()?;
    let _next = bench.flusher(&[long, ("FEEDBACK_BATCH_TIME_MS", "100")])?;
    bench.all_told(4).await
}
