//! What XINFO does not know, and what trimming may not touch.

use anyhow::{Context as _, Result};
use bus::{MessageId, SubscribeOptions};
use common::Topic as _;
use testkit::servers::eventually_async;

use crate::bench::Bench;
use crate::notes::{Notes, ShortNotes, notes};
use crate::readers::{LONG, Reader, SOON, assert_conserved, done, group, options};

const STREAM: &str = Notes::INFO.name;

/// `MAXLEN` drops the oldest, read or not. Remedy: trimming by `MINID`, at the first message that
/// some group has not settled.
#[tokio::test]
async fn a_long_backlog_survives_a_short_retention() -> Result<()> {
    let Some(bench) = Bench::start()? else {
        return Ok(());
    };
    let (bus, topic) = (&bench.bus, &ShortNotes::INFO);
    bus.open_groups(&[*topic]).await?;
    for start in 0..10 {
        bus.publish::<ShortNotes>(&notes(start * 100..start * 100 + 100))
            .await?;
        bus.trim(topic).await?;
    }
    let mut reader = Reader::join::<ShortNotes>(bus, options());
    let held = reader.take(100).await?;
    // The reader trims in every round, too.
    bus.trim(topic).await?;
    assert_eq!(bus.overview(topic).await?.length, 1_000);

    reader.consumer.settle(&done(held.ids())).await?;
    let rest = reader.finish(900).await?;
    assert_eq!(rest, (100..1_000).collect::<Vec<u32>>());
    assert_conserved(bus, topic).await?;
    bus.trim(topic).await?;
    // As fine as the pieces between which it was trimmed.
    assert_eq!(bus.overview(topic).await?.length, 100);
    Ok(())
}

/// The lag as Redis tells it; empty for NULL.
fn lag(bench: &Bench) -> Result<String> {
    let groups = bench.cli(&["XINFO", "GROUPS", STREAM])?;
    let mut lines = groups.lines().skip_while(|line| *line != "lag").skip(1);
    Ok(lines.next().unwrap_or_default().to_owned())
}

/// Redis gives up counting after a deletion. Remedy: NULL is not 0; the entries are counted.
#[tokio::test]
async fn a_lag_that_redis_forgot_after_a_deletion_is_counted() -> Result<()> {
    let Some(bench) = Bench::start()? else {
        return Ok(());
    };
    bench.bus.open_groups(&[Notes::INFO]).await?;
    let ids = bench.bus.publish::<Notes>(&notes(0..10)).await?;
    bench.deliver_to_nobody("somebody", 3)?;
    assert_eq!(lag(&bench)?, "7");
    let deleted = ids.get(6).context("the seventh")?.to_string();
    bench.cli(&["XDEL", STREAM, &deleted])?;
    assert_eq!(lag(&bench)?, "", "this Redis knows it: the trap is gone");

    let overview = group(&bench.bus, &Notes::INFO).await?;
    assert_eq!(
        (overview.undelivered.count, overview.undelivered.exact),
        (6, true)
    );
    assert!(overview.oldest_undelivered_age.is_some());
    assert_eq!(overview.backlog(), 9);
    Ok(())
}

/// Nor does it count for a group that was put somewhere. Remedy: the same, up to a limit, and a
/// count that stopped there says so.
#[tokio::test]
async fn a_lag_that_redis_forgot_after_a_move_is_counted_and_beyond_the_limit_inferred()
-> Result<()> {
    let Some(bench) = Bench::start()? else {
        return Ok(());
    };
    bench.bus.open_groups(&[Notes::INFO]).await?;
    let ids = bench.bus.publish::<Notes>(&notes(0..10_010)).await?;
    let move_to = |number: usize| {
        let id = ids.get(number).context("no such message")?.to_string();
        bench.cli(&["XGROUP", "SETID", STREAM, "readers", &id])
    };
    move_to(10_003)?;
    assert_eq!(lag(&bench)?, "", "this Redis knows it: the trap is gone");
    let few = group(&bench.bus, &Notes::INFO).await?;
    assert_eq!((few.undelivered.count, few.undelivered.exact), (6, true));

    move_to(3)?;
    let many = group(&bench.bus, &Notes::INFO).await?;
    assert_eq!(
        (many.undelivered.count, many.undelivered.exact),
        (10_006, true),
        "all but those on the other side"
    );
    assert!(many.oldest_undelivered_age.is_some());

    bench.bus.publish::<Notes>(&notes(10_010..20_050)).await?;
    move_to(10_005)?;
    let inferred = group(&bench.bus, &Notes::INFO).await?;
    assert_eq!(
        (inferred.undelivered.count, inferred.undelivered.exact),
        (20_050, false),
        "all that was published and never settled"
    );

    let last = bench.bus.range_back(STREAM, MessageId::MAX, 1).await?;
    let last = last.first().context("the last")?.id.to_string();
    bench.cli(&["XGROUP", "SETID", STREAM, "readers", &last])?;
    let none = group(&bench.bus, &Notes::INFO).await?;
    assert_eq!((none.undelivered.count, none.undelivered.exact), (0, true));
    assert_eq!(none.oldest_undelivered_age, None);
    Ok(())
}

/// The log has what was delivered, and not how much that was: after a restart Redis goes on from the
/// number of the last rewrite, and the lag is too large for ever. Remedy: a lag that does not agree
/// with what is settled is counted, and Redis is told.
#[tokio::test]
async fn a_lag_that_redis_has_wrong_after_a_restart_is_counted_and_put_right() -> Result<()> {
    let Some(bench) = Bench::start()? else {
        return Ok(());
    };
    bench.bus.open_groups(&[Notes::INFO]).await?;
    bench.bus.publish::<Notes>(&notes(0..20)).await?;
    bench.deliver_to_nobody("somebody", 5)?;
    bench.cli(&["BGREWRITEAOF"])?;
    eventually_async("the log to be rewritten", SOON, async || {
        let persistence = bench.cli(&["INFO", "persistence"]).ok()?;
        let rewritten = persistence.contains("aof_rewrite_in_progress:0")
            && persistence.contains("aof_rewrite_scheduled:0");
        rewritten.then_some(())
    })
    .await?;
    bench.deliver_to_nobody("somebody", 5)?;
    assert_eq!(lag(&bench)?, "10");
    bench.server.kill()?;
    bench.server.restart()?;
    assert_eq!(
        lag(&bench)?,
        "15",
        "this Redis has it right: the trap is gone"
    );

    let overview = eventually_async("an overview", SOON, async || {
        group(&bench.bus, &Notes::INFO).await.ok()
    });
    let overview = overview.await?;
    assert_eq!(
        (overview.undelivered.count, overview.undelivered.exact),
        (10, true)
    );
    assert_eq!(overview.pending, 10);
    assert_eq!(lag(&bench)?, "10");
    Ok(())
}

/// Trimming past a group that fell behind also loses the lag. Remedy: trimming waits for every
/// group of the stream, also for one that the topic does not declare.
#[tokio::test]
async fn a_group_that_nobody_declared_is_waited_for_as_well() -> Result<()> {
    let Some(bench) = Bench::start()? else {
        return Ok(());
    };
    let (bus, topic) = (&bench.bus, &ShortNotes::INFO);
    let untidy = SubscribeOptions {
        housekeeping_interval: LONG,
        ..options()
    };
    let mut reader = Reader::join::<ShortNotes>(bus, untidy);
    bus.open_groups(&[*topic]).await?;
    bench.cli(&["XGROUP", "CREATE", topic.name, "strangers", "0"])?;
    for note in notes(0..20) {
        bus.publish::<ShortNotes>(&[note]).await?;
        bus.trim(topic).await?;
    }
    reader.finish(20).await?;
    assert_eq!(bus.trim(topic).await?, 0);
    bench.cli(&["XGROUP", "DESTROY", topic.name, "strangers"])?;
    assert_eq!(bus.trim(topic).await?, 15);
    Ok(())
}

/// Redis counts as undelivered what was cut off before anybody read it. Remedy: when all that is
/// left is undelivered, the length is the answer, and the audit shows what is missing.
#[tokio::test]
async fn messages_that_were_cut_off_unread_are_missing_and_not_undelivered() -> Result<()> {
    let Some(bench) = Bench::start()? else {
        return Ok(());
    };
    bench.bus.open_groups(&[Notes::INFO]).await?;
    bench.bus.publish::<Notes>(&notes(0..10)).await?;
    bench.deliver_to_nobody("somebody", 3)?;
    bench.cli(&["XTRIM", STREAM, "MAXLEN", "5"])?;
    assert_eq!(
        lag(&bench)?,
        "7",
        "this Redis counts them out: the trap is gone"
    );
    let overview = bench.bus.overview(&Notes::INFO).await?;
    let group = overview.audit().groups.pop().context("a group")?;
    assert_eq!((group.undelivered, group.exact), (5, true));
    assert_eq!((group.pending, group.difference), (3, 2));
    assert!(!overview.audit().is_balanced());
    Ok(())
}
