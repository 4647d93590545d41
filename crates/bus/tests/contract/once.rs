//! Publishing what must be published once.

use std::time::Duration;

use anyhow::Result;
use bus::{Bus, Once, OnceRule};
use common::{RawFields, Topic as _};
use testkit::servers::eventually_async;

use crate::Bench;
use crate::notes::{Notes, notes};
use crate::readers::{LONG, SOON};

on_every_back_end! {
    a_claim_is_granted_once_within_its_window,
    a_claim_is_granted_again_after_its_window,
    a_claimant_is_refused_until_another_has_claimed,
    a_claim_against_others_is_forgotten_after_its_window,
    duplicates_within_one_call_are_published_once,
    more_messages_than_one_call_takes_are_claimed_each_for_itself,
    encoded_messages_are_claimed_likewise,
}

const WINDOW: Duration = Duration::from_millis(300);

fn unclaimed(key: &str, window: Duration) -> Once {
    Once {
        key: format!("test:once:{key}"),
        claimant: "tester",
        window,
        rule: OnceRule::Unclaimed,
    }
}

fn against_others(claimant: &'static str, window: Duration) -> Once {
    Once {
        claimant,
        rule: OnceRule::OtherClaimant,
        ..unclaimed("turn", window)
    }
}

/// Whether a message with this claim is published.
async fn publishes(bus: &Bus, once: Once) -> Result<bool> {
    let ids = bus.publish_once::<Notes>(&notes(0..1), &[once]).await?;
    assert_eq!(ids.len(), 1);
    Ok(ids.iter().all(Option::is_some))
}

/// Waits until as much time is over as a window that is opened now takes.
async fn window_passes(bus: &Bus) -> Result<()> {
    publishes(bus, unclaimed("probe", WINDOW)).await?;
    let probe = async || {
        let granted = publishes(bus, unclaimed("probe", WINDOW)).await.ok()?;
        granted.then_some(())
    };
    eventually_async("the end of the window", SOON, probe).await
}

async fn published(bus: &Bus) -> Result<u64> {
    Ok(bus.overview(&Notes::INFO).await?.length)
}

async fn a_claim_is_granted_once_within_its_window(bench: Bench) -> Result<()> {
    bench.bus.open_groups(&[Notes::INFO]).await?;
    assert!(publishes(&bench.bus, unclaimed("a", LONG)).await?);
    assert!(!publishes(&bench.bus, unclaimed("a", LONG)).await?);
    assert!(publishes(&bench.bus, unclaimed("b", LONG)).await?);
    assert_eq!(published(&bench.bus).await?, 2);
    Ok(())
}

async fn a_claim_is_granted_again_after_its_window(bench: Bench) -> Result<()> {
    assert!(publishes(&bench.bus, unclaimed("a", WINDOW)).await?);
    window_passes(&bench.bus).await?;
    assert!(publishes(&bench.bus, unclaimed("a", WINDOW)).await?);
    Ok(())
}

async fn a_claimant_is_refused_until_another_has_claimed(bench: Bench) -> Result<()> {
    for (claimant, granted) in [
        ("red", true),
        ("red", false),
        ("red and blue", true),
        ("red and blue", false),
        ("red", true),
    ] {
        let once = against_others(claimant, LONG);
        assert_eq!(publishes(&bench.bus, once).await?, granted, "{claimant}");
    }
    Ok(())
}

async fn a_claim_against_others_is_forgotten_after_its_window(bench: Bench) -> Result<()> {
    assert!(publishes(&bench.bus, against_others("red", WINDOW)).await?);
    window_passes(&bench.bus).await?;
    assert!(publishes(&bench.bus, against_others("red", WINDOW)).await?);
    Ok(())
}

async fn duplicates_within_one_call_are_published_once(bench: Bench) -> Result<()> {
    let claims = ["a", "a", "b", "a"].map(|key| unclaimed(key, LONG));
    let ids = bench
        .bus
        .publish_once::<Notes>(&notes(0..4), &claims)
        .await?;
    let published: Vec<bool> = ids.iter().map(Option::is_some).collect();
    assert_eq!(published, [true, false, true, false]);
    let stored = bench
        .bus
        .range(Notes::INFO.name, bus::MessageId::ZERO, 10)
        .await?;
    let stored: Vec<RawFields> = stored.into_iter().map(|message| message.fields).collect();
    let expected: Vec<RawFields> = notes([0, 2]).iter().map(RawFields::of).collect();
    assert_eq!(stored, expected);
    Ok(())
}

async fn more_messages_than_one_call_takes_are_claimed_each_for_itself(bench: Bench) -> Result<()> {
    let claims: Vec<Once> = (0..1_100)
        .map(|number| unclaimed(&number.to_string(), LONG))
        .collect();
    for granted in [true, false] {
        let ids = bench
            .bus
            .publish_once::<Notes>(&notes(0..1_100), &claims)
            .await?;
        assert_eq!(ids.len(), 1_100);
        assert!(ids.iter().all(|id| id.is_some() == granted));
    }
    Ok(())
}

async fn encoded_messages_are_claimed_likewise(bench: Bench) -> Result<()> {
    let fields: Vec<RawFields> = notes(0..2).iter().map(RawFields::of).collect();
    let claims = ["a", "a"].map(|key| unclaimed(key, LONG));
    let ids = bench
        .bus
        .publish_fields_once(&Notes::INFO, &fields, &claims)
        .await?;
    let published: Vec<bool> = ids.iter().map(Option::is_some).collect();
    assert_eq!(published, [true, false]);
    assert!(!publishes(&bench.bus, unclaimed("a", LONG)).await?);
    Ok(())
}
