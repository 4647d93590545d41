//! When a batch is due.

use std::time::Duration;

use anyhow::Result;
use common::AgentId;
use stores::DueWhen;
use testkit::servers::eventually_async;

use crate::{ANY, Bench, ITEMS_MAX, LONG, NEVER, SHORT, SOON, agent, items, urgent};

on_every_store! {
    a_batch_is_due_by_its_items,
    a_batch_is_due_by_its_age,
    an_urgent_batch_is_due_sooner,
    a_batch_is_due_when_somebody_asks,
    asking_for_all_reaches_all_and_counts_them,
    urgent_batches_come_first_then_the_oldest,
    many_batches_are_found_however_few_are_asked_for,
}

async fn a_batch_is_due_by_its_items(bench: Bench) -> Result<()> {
    let ten = DueWhen { items: 10, ..NEVER };
    bench.add(&items("a", 0..9)).await?;
    bench.add(&items("b", 0..11)).await?;
    assert_eq!(bench.batches.due(&ten, 10).await?, [agent("b")]);
    bench.add(&items("a", 9..10)).await?;
    assert_eq!(bench.batches.due(&ten, 10).await?, [agent("a"), agent("b")]);
    Ok(())
}

async fn a_batch_is_due_by_its_age(bench: Bench) -> Result<()> {
    bench.add(&items("a", 0..1)).await?;
    assert_eq!(bench.batches.due(&NEVER, 10).await?, []);
    let old = DueWhen {
        age: SHORT,
        ..NEVER
    };
    is_eventually_due(&bench, &old).await?;
    bench.add(&items("a", 1..2)).await?;
    assert_eq!(
        bench.batches.due(&old, 10).await?,
        [agent("a")],
        "the first item counts"
    );
    let taken = bench.take(&agent("a"), LONG, ITEMS_MAX).await?;
    assert!(taken.age >= SHORT && taken.age < LONG, "{:?}", taken.age);
    assert_eq!(bench.batches.due(&old, 10).await?, []);
    Ok(())
}

async fn an_urgent_batch_is_due_sooner(bench: Bench) -> Result<()> {
    let when = DueWhen {
        urgent_age: SHORT,
        ..NEVER
    };
    bench.add(&items("b", 0..3)).await?;
    bench.add(&items("a", 0..3)).await?;
    bench.add(&[urgent("a", 3)]).await?;
    is_eventually_due(&bench, &when).await?;
    assert!(!bench.batches.of_agent(&agent("b")).await?[0].urgent);
    assert_eq!(bench.batches.due(&NEVER, 10).await?, [], "not at once");
    Ok(())
}

/// Only agent `a` comes to be due.
async fn is_eventually_due(bench: &Bench, when: &DueWhen) -> Result<()> {
    let due = eventually_async("a due batch", SOON, async || {
        let due = bench.batches.due(when, 10).await.ok()?;
        (!due.is_empty()).then_some(due)
    });
    assert_eq!(due.await?, [agent("a")]);
    Ok(())
}

async fn a_batch_is_due_when_somebody_asks(bench: Bench) -> Result<()> {
    let nobody = agent("nobody");
    assert_eq!(bench.batches.request_flush(Some(&nobody)).await?, 0);
    bench.add(&items("a", 0..3)).await?;
    bench.add(&items("b", 0..3)).await?;
    assert_eq!(bench.batches.request_flush(Some(&agent("a"))).await?, 1);
    assert_eq!(bench.batches.due(&NEVER, 10).await?, [agent("a")]);
    // All of it, though it is taken in parts.
    let part = bench.take(&agent("a"), LONG, 2).await?;
    assert!(bench.batches.finish(&part).await?);
    assert_eq!(bench.batches.due(&NEVER, 10).await?, [agent("a")]);
    let rest = bench.take(&agent("a"), LONG, 2).await?;
    assert!(bench.batches.finish(&rest).await?);
    bench.add(&items("a", 3..4)).await?;
    assert_eq!(
        bench.batches.due(&NEVER, 10).await?,
        [],
        "what comes later was not meant"
    );
    Ok(())
}

async fn asking_for_all_reaches_all_and_counts_them(bench: Bench) -> Result<()> {
    assert_eq!(bench.batches.request_flush(None).await?, 0);
    for name in ["open", "flushing", "waiting"] {
        bench.add(&items(name, 0..3)).await?;
    }
    bench.take(&agent("flushing"), LONG, ITEMS_MAX).await?;
    let waiting = bench.take(&agent("waiting"), LONG, ITEMS_MAX).await?;
    bench.batches.release(&waiting, LONG).await?;
    bench.add(&items("waiting", 3..4)).await?;
    let requested = bench.batches.request_flush(None).await?;
    assert_eq!(
        requested, 3,
        "all but the one that somebody flushes already"
    );
    let mut due = bench.batches.due(&NEVER, 10).await?;
    due.sort();
    assert_eq!(due, [agent("open"), agent("waiting")]);
    let again = bench.take(&agent("waiting"), LONG, ITEMS_MAX).await?;
    assert_eq!(again.items, waiting.items);
    assert!(bench.batches.finish(&again).await?);
    let mut due = bench.batches.due(&NEVER, 10).await?;
    due.sort();
    assert_eq!(
        due,
        [agent("open"), agent("waiting")],
        "its open batch was meant, too"
    );
    Ok(())
}

async fn urgent_batches_come_first_then_the_oldest(bench: Bench) -> Result<()> {
    for name in ["c", "a", "d"] {
        bench.add(&items(name, 0..1)).await?;
        let (name, when) = (
            agent(name),
            DueWhen {
                age: Duration::from_millis(2),
                ..NEVER
            },
        );
        eventually_async("time to pass", SOON, async || {
            let due = bench.batches.due(&when, 10).await.ok()?;
            due.contains(&name).then_some(())
        })
        .await?;
    }
    let due = bench.batches.due(&ANY, 10).await?;
    assert_eq!(due, ["c", "a", "d"].map(agent));
    bench.add(&[urgent("d", 1), urgent("e", 0)]).await?;
    let due = bench.batches.due(&ANY, 10).await?;
    assert_eq!(due, ["d", "e", "c", "a"].map(agent));
    assert_eq!(bench.batches.due(&ANY, 2).await?, ["d", "e"].map(agent));
    // A flush that died has its place by its age.
    bench.take(&agent("c"), SHORT, ITEMS_MAX).await?;
    eventually_async("the flush to be due", SOON, async || {
        let due = bench.batches.due(&ANY, 3).await.ok()?;
        (due == ["d", "e", "c"].map(agent)).then_some(())
    })
    .await
}

async fn many_batches_are_found_however_few_are_asked_for(bench: Bench) -> Result<()> {
    let all: Vec<_> = (0..3_000)
        .flat_map(|number| items(&format!("a{number}"), 0..1))
        .collect();
    bench.add(&all).await?;
    assert_eq!(bench.batches.due(&ANY, 0).await?, []);
    let mut due: Vec<AgentId> = bench.batches.due(&ANY, usize::MAX).await?;
    due.sort();
    due.dedup();
    assert_eq!(due.len(), 3_000);
    let few = bench.batches.due(&ANY, 7).await?;
    assert_eq!(few.len(), 7);
    let overview = bench.batches.overview(5).await?;
    assert_eq!(
        (overview.total_batches, overview.total_items),
        (3_000, 3_000)
    );
    assert_eq!(overview.batches.len(), 5);
    assert_eq!(bench.batches.request_flush(None).await?, 3_000);
    assert_eq!(bench.batches.due(&NEVER, usize::MAX).await?.len(), 3_000);
    Ok(())
}
