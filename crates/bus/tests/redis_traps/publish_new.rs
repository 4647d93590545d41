//! Publishing what nobody has claimed, when the server cannot do it.

use anyhow::Result;
use bus::{BusError, ClaimWindow, MessageId};
use common::Topic as _;

use crate::bench::Bench;
use crate::notes::{Notes, notes};
use crate::readers::LONG;

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
/// its message. Remedies: the stream is looked at first, and what was claimed in vain is given up.
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
