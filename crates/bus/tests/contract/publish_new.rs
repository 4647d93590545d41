//! Publishing what nobody has claimed, for readers that drop repeats themselves.

use std::time::Duration;

use anyhow::Result;
use bus::{Bus, ClaimWindow, MessageId, Once, OnceRule};
use common::{RawFields, Topic as _};
use testkit::servers::eventually_async;

use crate::Bench;
use crate::notes::{Notes, notes};
use crate::readers::{LONG, SOON};

on_every_back_end! {
    a_new_name_is_published_and_a_known_one_is_not,
    the_first_of_the_same_name_in_a_call_is_published,
    more_messages_than_one_call_takes_are_each_told_apart,
    claims_are_the_same_as_those_of_publish_once,
    a_name_is_new_again_after_its_window,
    of_two_calls_at_the_same_moment_one_is_told_that_it_was_first,
    nothing_is_published_by_a_call_without_messages,
}

fn names(numbers: impl IntoIterator<Item = u32>) -> Vec<String> {
    let name = |number| format!("test:new:{number}");
    numbers.into_iter().map(name).collect()
}

/// For each name, whether a message was published under it.
async fn publish(bus: &Bus, names: &[String], length: Duration) -> Result<Vec<bool>> {
    let claimant = "tester";
    let messages = notes(0..u32::try_from(names.len())?);
    let window = ClaimWindow { claimant, length };
    let ids = bus.publish_new::<Notes>(&messages, names, window).await?;
    assert_eq!(ids.len(), names.len());
    Ok(ids.iter().map(Option::is_some).collect())
}

async fn published(bus: &Bus) -> Result<u64> {
    bus.open_groups(&[Notes::INFO]).await?;
    Ok(bus.overview(&Notes::INFO).await?.published)
}

async fn a_new_name_is_published_and_a_known_one_is_not(bench: Bench) -> Result<()> {
    assert_eq!(publish(&bench.bus, &names(0..3), LONG).await?, [true; 3]);
    let mixed = names([1, 3, 0, 4]);
    let expected = [false, true, false, true];
    assert_eq!(publish(&bench.bus, &mixed, LONG).await?, expected);
    let stored = bench.bus.range(Notes::INFO.name, MessageId::ZERO, 10);
    let stored: Vec<RawFields> = stored.await?.into_iter().map(|it| it.fields).collect();
    let expected: Vec<RawFields> = notes([0, 1, 2, 1, 3]).iter().map(RawFields::of).collect();
    assert_eq!(stored, expected);
    Ok(())
}

async fn the_first_of_the_same_name_in_a_call_is_published(bench: Bench) -> Result<()> {
    let new = publish(&bench.bus, &names([7, 7, 8, 7]), LONG).await?;
    assert_eq!(new, [true, false, true, false]);
    assert_eq!(published(&bench.bus).await?, 2);
    Ok(())
}

async fn more_messages_than_one_call_takes_are_each_told_apart(bench: Bench) -> Result<()> {
    let new = publish(&bench.bus, &names(0..600), LONG).await?;
    assert!(new.iter().all(|new| *new));
    let new = publish(&bench.bus, &names(0..1_100), LONG).await?;
    assert!((0..).zip(new).all(|(number, new)| new == (number >= 600)));
    assert_eq!(published(&bench.bus).await?, 1_100);
    Ok(())
}

async fn claims_are_the_same_as_those_of_publish_once(bench: Bench) -> Result<()> {
    let once = |number| Once {
        key: format!("test:new:{number}"),
        claimant: "another",
        window: LONG,
        rule: OnceRule::Unclaimed,
    };
    assert_eq!(publish(&bench.bus, &names([1]), LONG).await?, [true]);
    let claims = [once(1), once(2)];
    let messages = notes(0..2);
    let ids = bench.bus.publish_once::<Notes>(&messages, &claims);
    let new: Vec<bool> = ids.await?.iter().map(Option::is_some).collect();
    assert_eq!(new, [false, true]);
    assert_eq!(publish(&bench.bus, &names([2]), LONG).await?, [false]);
    Ok(())
}

async fn a_name_is_new_again_after_its_window(bench: Bench) -> Result<()> {
    let window = Duration::from_millis(300);
    assert_eq!(publish(&bench.bus, &names([1]), window).await?, [true]);
    let again = async || {
        let new = publish(&bench.bus, &names([1]), window).await.ok()?;
        (new == [true]).then_some(())
    };
    eventually_async("the end of the window", SOON, again).await
}

async fn of_two_calls_at_the_same_moment_one_is_told_that_it_was_first(bench: Bench) -> Result<()> {
    for number in 0..200 {
        let name = names([number]);
        let (one, other) = tokio::join!(
            publish(&bench.bus, &name, LONG),
            publish(&bench.bus, &name, LONG)
        );
        let told = [one?, other?].concat();
        assert_eq!(told.iter().filter(|new| **new).count(), 1);
    }
    Ok(())
}

async fn nothing_is_published_by_a_call_without_messages(bench: Bench) -> Result<()> {
    let new = publish(&bench.bus, &[], LONG).await?;
    assert!(new.is_empty());
    assert_eq!(published(&bench.bus).await?, 0);
    Ok(())
}
