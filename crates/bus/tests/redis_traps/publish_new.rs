//! Publishing what nobody has claimed, when the server cannot do it.

use std::time::Duration;

use anyhow::Result;
use bus::{Bus, BusError, ClaimWindow, MessageId, Once, OnceRule};
use common::Topic as _;
use testkit::servers::{FaultProxy, ProxyMode, eventually_async};

use crate::bench::Bench;
use crate::notes::{Notes, ShortNotes, notes};
use crate::readers::{LONG, SOON};

const WINDOW: ClaimWindow = ClaimWindow {
    claimant: "tester",
    length: LONG,
};

async fn publish(bench: &Bench, count: u32) -> Result<Vec<Option<MessageId>>, BusError> {
    let names: Vec<String> = (0..count)
        .map(|number| format!("test:new:{number}"))
        .collect();
    let messages = notes(0..count);
    bench
        .bus
        .publish_new::<Notes>(&messages, &names, WINDOW)
        .await
}

/// A claim without its message would make a repetition count as a duplicate of nothing. Remedy: a
/// transaction, which a full server refuses as a whole, and as something that waiting may help.
#[tokio::test]
async fn a_full_server_neither_appends_nor_claims() -> Result<()> {
    let Some(bench) = Bench::start()? else {
        return Ok(());
    };
    publish(&bench, 1).await?;
    bench.cli(&["CONFIG", "SET", "maxmemory", "1mb"])?;
    let error = publish(&bench, 50).await.expect_err("the server is full");
    assert!(error.is_unavailable(), "{error}");
    bench.cli(&["CONFIG", "SET", "maxmemory", "0"])?;
    let ids = publish(&bench, 50).await?;
    assert_eq!(ids.iter().flatten().count(), 49);
    let stored = bench.bus.range(Notes::INFO.name, MessageId::ZERO, 100);
    assert_eq!(stored.await?.len(), 50);
    Ok(())
}

/// A command that fails in a transaction does not stop the others, so a claim would be left without
/// its message. Remedies: the stream is looked at first, and claims are made only where it has taken
/// the messages.
#[tokio::test]
async fn a_stream_that_takes_nothing_leaves_no_claims() -> Result<()> {
    let Some(bench) = Bench::start()? else {
        return Ok(());
    };
    bench.cli(&["SET", Notes::INFO.name, "no stream"])?;
    assert!(publish(&bench, 3).await.is_err());
    bench.cli(&["DEL", Notes::INFO.name])?;
    let last = "18446744073709551615-18446744073709551615";
    bench.cli(&["XADD", Notes::INFO.name, last, "name", "value"])?;
    assert!(publish(&bench, 3).await.is_err());
    bench.cli(&["DEL", Notes::INFO.name])?;
    assert!(publish(&bench, 3).await?.iter().all(Option::is_some));
    Ok(())
}

/// Whether a stage may pass on what was published under the name, once for each stage.
async fn passes_on(bus: &Bus, name: &str) -> Result<bool, BusError> {
    let once = Once {
        key: name.to_owned(),
        claimant: "next stage",
        window: LONG,
        rule: OnceRule::OtherClaimant,
    };
    let ids = bus
        .publish_once::<ShortNotes>(&notes(0..1), &[once])
        .await?;
    Ok(ids.iter().all(Option::is_some))
}

/// How often scripts were run.
fn scripts_run(bench: &Bench) -> Option<String> {
    let stats = bench.cli(&["INFO", "commandstats"]).ok()?;
    let line = stats
        .lines()
        .find(|line| line.starts_with("cmdstat_evalsha:"))?;
    line.split(',').next().map(str::to_owned)
}

/// A sender that is slow between its look-up and its transaction appends what another has published
/// and the next stage has passed on meanwhile. Remedy: its claim is not written over the other's, so
/// the next stage drops the second copy.
#[tokio::test]
async fn a_late_transaction_does_not_erase_the_claim_of_the_next_stage() -> Result<()> {
    let Some(bench) = Bench::start()? else {
        return Ok(());
    };
    let proxy = FaultProxy::start(&bench.server.address())?;
    let slow = Bus::on_redis(&format!("redis://{}", proxy.address()), SOON)?;
    let (name, warm) = ("test:new:late".to_owned(), "test:new:warm".to_owned());
    slow.publish_new::<Notes>(&notes(0..1), &[warm], WINDOW)
        .await?;
    proxy.set(ProxyMode::Delay(Duration::from_secs(1)));
    let before = scripts_run(&bench);
    let (messages, names) = (notes(1..2), [name.clone()]);
    let late = slow.publish_new::<Notes>(&messages, &names, WINDOW);
    let meanwhile = async {
        let looked_up = eventually_async("the look-up of the slow sender", SOON, async || {
            (scripts_run(&bench) != before).then_some(())
        });
        looked_up.await?;
        let fast = bench.bus.publish_new::<Notes>(&messages, &names, WINDOW);
        let is_first = fast.await?.iter().all(Option::is_some);
        anyhow::Ok((is_first, passes_on(&bench.bus, &name).await?))
    };
    let (late, meanwhile) = tokio::join!(late, meanwhile);
    assert_eq!(meanwhile?, (true, true));
    assert_eq!(late?, [None], "it is told that it was not the first");
    let stored = bench.bus.range(Notes::INFO.name, MessageId::ZERO, 10);
    assert_eq!(stored.await?.len(), 3, "both were appended");
    assert!(
        !passes_on(&bench.bus, &name).await?,
        "the second copy goes no further"
    );
    Ok(())
}

/// A topic may be put aside between the look-up of a sender and its transaction, and the sender may
/// die before it could take back what it claimed in vain: here it may not. Remedy: the transaction
/// claims only what the stream has taken, so nothing has to be taken back.
#[tokio::test]
async fn a_topic_that_is_put_aside_after_the_look_up_leaves_no_claims() -> Result<()> {
    let Some(bench) = Bench::start()? else {
        return Ok(());
    };
    let proxy = FaultProxy::start(&bench.server.address())?;
    let slow = Bus::on_redis(&format!("redis://{}", proxy.address()), SOON)?;
    let warm = "test:new:warm".to_owned();
    slow.publish_new::<Notes>(&notes(0..1), &[warm], WINDOW)
        .await?;
    bench.cli(&["ACL", "SETUSER", "default", "-hdel"])?;
    proxy.set(ProxyMode::Delay(Duration::from_secs(1)));
    let before = scripts_run(&bench);
    let (messages, names) = (notes(1..3), ["test:new:1", "test:new:2"].map(str::to_owned));
    let late = slow.publish_new::<Notes>(&messages, &names, WINDOW);
    let meanwhile = async {
        let looked_up = eventually_async("the look-up of the slow sender", SOON, async || {
            (scripts_run(&bench) != before).then_some(())
        });
        looked_up.await?;
        bench.cli(&["RENAME", Notes::INFO.name, "aside"])?;
        bench.cli(&["SET", Notes::INFO.name, "moved"])
    };
    let (late, meanwhile) = tokio::join!(late, meanwhile);
    meanwhile?;
    let refusal = late.expect_err("the stream is aside");
    assert!(matches!(&refusal, BusError::Refused(why) if why.code() == Some("WRONGTYPE")));
    bench.cli(&["DEL", Notes::INFO.name])?;
    let again = bench.bus.publish_new::<Notes>(&messages, &names, WINDOW);
    let again = again.await?;
    assert!(again.iter().all(Option::is_some), "{again:?}");
    let stored = bench.bus.range(Notes::INFO.name, MessageId::ZERO, 10);
    assert_eq!(stored.await?.len(), 2);
    Ok(())
}
