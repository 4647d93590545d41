//! Whoever takes a moved topic to be where it was is refused, however late he comes.

use std::time::Duration;

use anyhow::{Context as _, Result};
use bus::{BusError, BusSettings, MessageId, MigrationError};
use clap::Parser as _;
use common::Topic as _;
use testkit::servers::eventually_async;

use super::bench::Bench;
use crate::notes::{Notes, notes};
use crate::readers::{Reader, SOON, dead, done, failed, options};

#[derive(clap::Parser)]
struct Settings {
    #[command(flatten)]
    bus: BusSettings,
}

async fn migrate(bench: &Bench) -> Result<()> {
    let migration = bench.bus.migration().context("one server only")?;
    migration.run(&Notes::INFO, &|_| {}).await?;
    Ok(())
}

#[tokio::test]
async fn nobody_can_write_or_settle_where_a_topic_was() -> Result<()> {
    let Some(bench) = Bench::start()? else {
        return Ok(());
    };
    let old = &bench.old;
    old.publish::<Notes>(&notes(0..3)).await?;
    let mut reader = Reader::join::<Notes>(old, options());
    let held = reader.take(3).await?;
    migrate(&bench).await?;

    assert!(old.publish::<Notes>(&notes(3..4)).await.is_err());
    for settlement in [done(held.ids()), failed(held.ids()), dead(held.ids())] {
        assert!(reader.consumer.settle(&settlement).await.is_err());
    }
    assert!(old.open_groups(&[Notes::INFO]).await.is_err());
    // The router, which knew of no move, goes after the topic.
    bench.bus.publish::<Notes>(&notes(3..4)).await?;
    let mut there = Reader::join::<Notes>(&bench.bus, options());
    assert_eq!(there.finish(4).await?, [0, 1, 2, 3]);
    Ok(())
}

#[tokio::test]
async fn what_is_in_hand_when_its_topic_is_moved_comes_again_elsewhere() -> Result<()> {
    let Some(bench) = Bench::start()? else {
        return Ok(());
    };
    let bus = &bench.bus;
    bus.publish::<Notes>(&notes(0..3)).await?;
    let mut reader = Reader::join::<Notes>(bus, options());
    let held = reader.take(3).await?;
    migrate(&bench).await?;
    let refused = reader.consumer.settle(&done(held.ids())).await;
    assert!(matches!(&refused, Err(BusError::Moved(_))), "{refused:?}");
    let before = held.ids();
    drop(held);
    // The same member, without joining again.
    let again = reader.take(3).await?;
    let first_ids: Vec<MessageId> = again.messages().map(|message| message.first_id).collect();
    assert_eq!(first_ids, before);
    assert_eq!(reader.consumer.settle(&done(again.ids())).await?.done, 3);
    Ok(())
}

#[tokio::test]
async fn a_process_without_kafka_says_what_to_set_when_it_meets_a_moved_topic() -> Result<()> {
    let Some(bench) = Bench::start()? else {
        return Ok(());
    };
    let settings = Settings::try_parse_from(["tests", "--redis-url", bench.url()])?;
    let alone = settings.bus.open()?;
    alone.publish::<Notes>(&notes(0..1)).await?;
    let mut reader = Reader::join::<Notes>(&alone, options());
    reader.finish(1).await?;
    migrate(&bench).await?;

    let told = async || {
        let error = alone.publish::<Notes>(&notes(1..2)).await.err()?;
        error.to_string().contains("KAFKA_BROKERS").then_some(error)
    };
    let error = eventually_async("what to set", SOON, told).await?;
    assert!(!error.is_unavailable(), "{error}");
    let refused = alone.open_groups(&[Notes::INFO]).await;
    assert!(matches!(&refused, Err(BusError::Moved(_))), "{refused:?}");
    reader.stop.cancel();
    tokio::time::timeout(Duration::from_secs(10), reader.ended()).await?
}

#[tokio::test]
async fn a_topic_with_readers_that_nobody_declared_is_not_moved() -> Result<()> {
    let Some(bench) = Bench::start()? else {
        return Ok(());
    };
    bench.bus.publish::<Notes>(&notes(0..1)).await?;
    bench.cli(&["XGROUP", "CREATE", Notes::INFO.name, "strangers", "0"])?;
    let migration = bench.bus.migration().context("one server only")?;
    let refused = migration.run(&Notes::INFO, &|_| {}).await;
    let Err(MigrationError::OtherGroup { group, .. }) = &refused else {
        anyhow::bail!("{refused:?}");
    };
    assert_eq!(group, "strangers");
    assert_eq!(bench.bus.move_of(&Notes::INFO).await?, None);
    bench.bus.publish::<Notes>(&notes(1..2)).await?;
    Ok(())
}
