//! A bus that is down for a while costs time and nothing else.

use anyhow::Result;
use common::Topic as _;
use testkit::servers::{RedisServer, eventually_async, or_skip};

use crate::bench::{Bench, Running, SOON, short_lease};
use crate::notes::Notes;
use crate::scripted::Scripted;

/// A stage with a batch in the processor, on a server that can be killed.
struct AtWork {
    bench: Bench,
    processor: Scripted,
    stage: Running,
    server: RedisServer,
}

impl AtWork {
    async fn start() -> Result<Option<Self>> {
        let Some(server) = or_skip("redis-server", RedisServer::start()) else {
            return Ok(None);
        };
        let bench = Bench::at(server.url())?;
        bench.publish(0..50).await?;
        let processor = Scripted::finishing(&bench.clock).gated();
        let stage = bench.run(short_lease(), &processor);
        let working = async || (!processor.attempts().is_empty()).then_some(());
        eventually_async("a batch at work", SOON, working).await?;
        Ok(Some(Self {
            bench,
            processor,
            stage,
            server,
        }))
    }
}

#[tokio::test]
async fn a_batch_that_was_processed_while_the_bus_went_down_is_settled_when_it_is_back()
-> Result<()> {
    let Some(work) = AtWork::start().await? else {
        return Ok(());
    };
    work.server.kill()?;
    work.processor.open_gate();
    let why = work.stage.waits().await?;
    assert!(why.contains("redis is unavailable"), "{why}");
    work.server.restart()?;
    work.bench.all_done(50).await?;
    assert!(work.processor.successes().values().all(|times| *times == 1));
    assert_eq!(work.processor.attempts().len(), 1, "it did not come again");
    let ready = async || work.stage.health.reasons().is_empty().then_some(());
    eventually_async("the stage to be ready", SOON, ready).await?;

    work.bench.publish(50..60).await?;
    work.bench.all_done(60).await?;
    assert!(work.processor.successes().into_keys().eq(0..60));
    Ok(())
}

#[tokio::test]
async fn a_stage_that_is_stopped_while_the_bus_is_down_ends_and_its_batch_comes_again() -> Result<()>
{
    let Some(work) = AtWork::start().await? else {
        return Ok(());
    };
    work.server.kill()?;
    work.processor.open_gate();
    work.stage.waits().await?;
    work.stage.stop.cancel();
    work.stage.ended().await?;
    work.server.restart()?;

    let staying = Scripted::finishing(&work.bench.clock);
    let _peer = work.bench.run(short_lease(), &staying);
    work.bench.all_done(50).await?;
    assert!(staying.successes().into_keys().eq(0..50));
    let attempts = staying.attempts();
    let mut repeats = attempts.iter().flat_map(|attempt| &attempt.repeat);
    assert!(repeats.all(|repeat| *repeat));
    Ok(())
}

#[tokio::test]
async fn a_stage_that_has_nothing_to_do_says_that_its_topic_cannot_be_read() -> Result<()> {
    let Some(work) = AtWork::start().await? else {
        return Ok(());
    };
    work.processor.open_gate();
    work.bench.all_done(50).await?;
    assert!(work.stage.health.reasons().is_empty());
    work.server.kill()?;
    let topic = Notes::INFO.name;
    let reason = async || work.stage.health.reasons().remove(topic);
    let why = eventually_async("the stage to say so", SOON, reason).await?;
    assert!(why.contains("redis is unavailable"), "{why}");
    work.server.restart()?;
    let ready = async || work.stage.health.reasons().is_empty().then_some(());
    eventually_async("the stage to be ready", SOON, ready).await
}

#[tokio::test]
async fn a_server_that_lost_everything_while_a_batch_was_processed_does_not_stop_the_stage()
-> Result<()> {
    let Some(work) = AtWork::start().await? else {
        return Ok(());
    };
    work.server.restart_empty()?;
    work.processor.open_gate();
    let published = async || work.bench.publish(100..110).await.ok();
    eventually_async("the bus to be back", SOON, published).await?;
    let again = async || work.processor.successes().remove(&109);
    eventually_async("what was published afterwards", SOON, again).await?;
    assert!(
        work.processor
            .successes()
            .into_keys()
            .eq((0..50).chain(100..110))
    );
    Ok(())
}
