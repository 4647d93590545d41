//! Scripts: they may be forgotten, and they may fail half-way.

use anyhow::Result;
use bus::{Once, OnceRule, Output};
use common::{RawFields, Topic as _};

use crate::bench::Bench;
use crate::notes::{Notes, ShortNotes, notes};
use crate::readers::{LONG, Reader, dead, done, failed, group, options, short_lease};

/// A server forgets its scripts when it restarts, fails over or is told to. Remedy: a script that
/// is not known is loaded and called again.
#[tokio::test]
async fn scripts_may_be_forgotten_at_any_time() -> Result<()> {
    let Some(bench) = Bench::start()? else {
        return Ok(());
    };
    let forget = || bench.cli(&["SCRIPT", "FLUSH", "SYNC"]).map(drop);
    bench.bus.publish::<Notes>(&notes(0..4)).await?;
    let mut reader = Reader::join::<Notes>(&bench.bus, short_lease());
    let held = reader.take(4).await?;
    let mut ids = held.ids().into_iter();
    let mut next = || ids.next();

    forget()?;
    assert_eq!(reader.consumer.settle(&done(next())).await?.done, 1);
    forget()?;
    assert_eq!(reader.consumer.settle(&dead(next())).await?.dead, 1);
    forget()?;
    assert_eq!(reader.consumer.settle(&failed(next())).await?.retried, 1);
    forget()?;
    let once = Once {
        key: "test:once:script".to_owned(),
        claimant: "tester",
        window: LONG,
        rule: OnceRule::Unclaimed,
    };
    for granted in [true, false] {
        let claim = [once.clone()];
        let ids = bench
            .bus
            .publish_once::<ShortNotes>(&notes(0..1), &claim)
            .await?;
        assert!(ids.iter().all(|id| id.is_some() == granted));
        forget()?;
    }
    bench.bus.trim(&Notes::INFO).await?;
    forget()?;
    assert_eq!(bench.bus.overview(&Notes::INFO).await?.published, 4);
    drop(held);
    // Claiming and renewing are scripts, too.
    forget()?;
    let again = reader.take(2).await?;
    assert_eq!(reader.consumer.settle(&done(again.ids())).await?.done, 2);
    Ok(())
}

/// A script that fails is not rolled back, so a message that was acknowledged before its dead
/// letter could be written would be lost. Remedy: the letter is written first.
#[tokio::test]
async fn a_dead_letter_that_cannot_be_written_leaves_its_message_pending() -> Result<()> {
    let Some(bench) = Bench::start()? else {
        return Ok(());
    };
    bench.bus.publish::<Notes>(&notes(0..1)).await?;
    let mut reader = Reader::join::<Notes>(&bench.bus, options());
    let held = reader.take(1).await?;
    let letters = Notes::INFO.dead_letters();
    bench.cli(&["SET", &letters, "no stream"])?;
    assert!(reader.consumer.settle(&dead(held.ids())).await.is_err());
    let pending = bench.cli(&["XPENDING", Notes::INFO.name, "readers"])?;
    assert!(pending.starts_with("1\n"), "{pending}");

    bench.cli(&["DEL", &letters])?;
    assert_eq!(reader.consumer.settle(&dead(held.ids())).await?.dead, 1);
    Ok(())
}

/// The same for what a message causes.
#[tokio::test]
async fn an_output_that_cannot_be_written_leaves_its_message_pending() -> Result<()> {
    let Some(bench) = Bench::start()? else {
        return Ok(());
    };
    bench.bus.publish::<Notes>(&notes(0..2)).await?;
    let mut reader = Reader::join::<Notes>(&bench.bus, options());
    let held = reader.take(2).await?;
    let mut settlement = done(held.ids());
    let outputs = held
        .ids()
        .into_iter()
        .zip(["test.good", "test.bad"])
        .zip(notes(0..2));
    settlement.outputs = outputs
        .map(|((cause, topic), note)| Output {
            cause,
            topic,
            fields: RawFields::of(&note),
            once: Some(Once {
                key: format!("test:once:{cause}"),
                claimant: "tester",
                window: LONG,
                rule: OnceRule::Unclaimed,
            }),
        })
        .collect();
    bench.cli(&["SET", "test.bad", "no stream"])?;
    assert!(reader.consumer.settle(&settlement).await.is_err());
    let overview = group(&bench.bus, &Notes::INFO).await?;
    assert_eq!((overview.pending, overview.done), (2, 0), "all or nothing");

    bench.cli(&["DEL", "test.bad"])?;
    let settled = reader.consumer.settle(&settlement).await?;
    assert_eq!((settled.done, settled.published), (2, 2));
    for stream in ["test.good", "test.bad"] {
        assert_eq!(bench.cli(&["XLEN", stream])?, "1");
    }
    Ok(())
}
