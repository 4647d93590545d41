//! Two who decide on the same letters.

use anyhow::Result;
use bus::{MessageId, Redriven};
use common::Topic as _;
use futures_util::future::join_all;

use crate::bench::Bench;
use crate::notes::{Notes, notes};
use crate::readers::{Reader, assert_balanced, dead, options};

/// Trap: looking a letter up and publishing it are two steps. Remedy: whoever begins to decide fences
/// whoever decides on the same letters.
#[tokio::test]
async fn two_who_redrive_the_same_letters_publish_each_once() -> Result<()> {
    let Some(bench) = Bench::shared()? else {
        return Ok(());
    };
    let bus = &bench.bus;
    let mut reader = Reader::join::<Notes>(bus, options());
    bus.publish::<Notes>(&notes(0..20)).await?;
    let held = reader.take(20).await?;
    reader.consumer.settle(&dead(held.ids())).await?;
    drop(held);
    let letters = bus.dead_letters(&Notes::INFO, MessageId::ZERO, 100).await?;
    let ids: Vec<MessageId> = letters.iter().map(|letter| letter.id).collect();
    let rivals = [bench.another(|_| {})?, bench.another(|_| {})?, bus.clone()];
    let redriving = rivals.iter().map(|bus| bus.redrive(&Notes::INFO, &ids));
    let mut published = 0;
    for redriven in join_all(redriving).await {
        let redriven = redriven?;
        published += redriven
            .iter()
            .filter(|redriven| matches!(redriven, Redriven::As(_)))
            .count();
    }
    assert_eq!(published, 20);
    let mut numbers = reader.finish(20).await?;
    numbers.sort_unstable();
    assert_eq!(numbers, (0..20).collect::<Vec<u32>>());
    assert_eq!(bus.overview(&Notes::INFO).await?.published, 40);
    assert_balanced(bus, &Notes::INFO).await
}
