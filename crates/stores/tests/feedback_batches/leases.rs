//! Who may flush, and who may go on after a flusher died or gave up.

use anyhow::Result;
use stores::BatchState;
use testkit::servers::eventually_async;

use crate::{ANY, Bench, ITEMS_MAX, LONG, NEVER, SHORT, SOON, agent, ids, items, lease};

on_every_store! {
    a_flush_that_died_is_followed_by_another_with_the_same_items,
    a_flush_that_died_comes_before_what_came_later,
    who_lost_a_lease_can_do_nothing,
    a_renewed_lease_keeps_others_away,
    a_lease_that_nobody_took_is_still_its_takers,
    a_released_flush_comes_again_after_its_wait,
    who_released_has_let_go,
}

async fn a_flush_that_died_is_followed_by_another_with_the_same_items(bench: Bench) -> Result<()> {
    bench.add(&items("a", 0..3)).await?;
    let died = bench.take(&agent("a"), SHORT, 2).await?;
    for attempts in 2..5 {
        let due = eventually_async("a due flush", SOON, async || {
            let due = bench.batches.due(&NEVER, 10).await.ok()?;
            (!due.is_empty()).then_some(due)
        });
        assert_eq!(due.await?, [agent("a")], "found without knowing of it");
        let waiting = bench.batches.of_agent(&agent("a")).await?;
        assert_eq!(waiting[0].state, BatchState::Waiting);
        assert_eq!(waiting[0].attempts, attempts - 1);
        let again = bench.take(&agent("a"), SHORT, ITEMS_MAX).await?;
        assert_eq!((&again.items, again.attempts), (&died.items, attempts));
    }
    Ok(())
}

async fn a_flush_that_died_comes_before_what_came_later(bench: Bench) -> Result<()> {
    bench.add(&items("a", 0..3)).await?;
    bench.take(&agent("a"), SHORT, ITEMS_MAX).await?;
    bench.add(&items("a", 3..6)).await?;
    let first = bench.take_eventually(&agent("a")).await?;
    assert_eq!(ids(&first), ["0", "1", "2"]);
    assert!(bench.batches.finish(&first).await?);
    let second = bench.take(&agent("a"), LONG, ITEMS_MAX).await?;
    assert_eq!((ids(&second), second.attempts), (vec!["3", "4", "5"], 1));
    Ok(())
}

async fn who_lost_a_lease_can_do_nothing(bench: Bench) -> Result<()> {
    bench.add(&items("a", 0..3)).await?;
    let lost = bench.take(&agent("a"), SHORT, ITEMS_MAX).await?;
    let holder = bench.take_eventually(&agent("a")).await?;
    assert!(!bench.batches.renew(&lost, &lease(SHORT, 1)).await?);
    bench.batches.release(&lost, SHORT).await?;
    assert!(!bench.batches.finish(&lost).await?);
    let held = bench.batches.of_agent(&agent("a")).await?;
    assert_eq!((held[0].state, held[0].items), (BatchState::Flushing, 3));
    assert!(bench.batches.finish(&holder).await?);
    bench.assert_empty().await
}

async fn a_renewed_lease_keeps_others_away(bench: Bench) -> Result<()> {
    bench.add(&items("a", 0..3)).await?;
    let taken = bench.take(&agent("a"), SHORT, ITEMS_MAX).await?;
    assert!(bench.batches.renew(&taken, &lease(LONG, 1)).await?);
    // The first lease would be over by the time that another agent's as long a lease is.
    bench.add(&items("b", 0..3)).await?;
    bench.take(&agent("b"), SHORT, ITEMS_MAX).await?;
    bench.take_eventually(&agent("b")).await?;
    assert!(!bench.is_takeable(&agent("a")).await?);
    assert!(bench.batches.renew(&taken, &lease(SHORT, 1)).await?);
    let next = bench.take_eventually(&agent("a")).await?;
    assert_eq!(next.attempts, 2, "a renewal is no attempt");
    Ok(())
}

async fn a_lease_that_nobody_took_is_still_its_takers(bench: Bench) -> Result<()> {
    bench.add(&items("a", 0..3)).await?;
    let taken = bench.take(&agent("a"), SHORT, ITEMS_MAX).await?;
    eventually_async("the end of a lease", SOON, async || {
        let due = bench.batches.due(&NEVER, 1).await.ok()?;
        (!due.is_empty()).then_some(())
    })
    .await?;
    assert!(bench.batches.renew(&taken, &lease(LONG, 1)).await?);
    assert_eq!(bench.batches.due(&ANY, 1).await?, []);
    assert!(bench.batches.finish(&taken).await?);
    bench.assert_empty().await
}

async fn a_released_flush_comes_again_after_its_wait(bench: Bench) -> Result<()> {
    bench.add(&items("a", 0..3)).await?;
    let first = bench.take(&agent("a"), LONG, ITEMS_MAX).await?;
    bench.add(&items("a", 3..6)).await?;
    bench.batches.release(&first, LONG).await?;
    assert_eq!(bench.batches.due(&ANY, 10).await?, [], "it waits");
    assert!(!bench.is_takeable(&agent("a")).await?);
    let waiting = bench.batches.of_agent(&agent("a")).await?;
    assert_eq!(
        (waiting[0].state, waiting[0].attempts),
        (BatchState::Waiting, 1)
    );
    bench.batches.request_flush(Some(&agent("a"))).await?;
    assert_eq!(bench.batches.due(&NEVER, 10).await?, [agent("a")]);
    let second = bench.take(&agent("a"), LONG, ITEMS_MAX).await?;
    assert_eq!((&second.items, second.attempts), (&first.items, 2));
    bench.batches.release(&second, SHORT).await?;
    let third = bench.take_eventually(&agent("a")).await?;
    assert_eq!((&third.items, third.attempts), (&first.items, 3));
    Ok(())
}

async fn who_released_has_let_go(bench: Bench) -> Result<()> {
    bench.add(&items("a", 0..3)).await?;
    let taken = bench.take(&agent("a"), LONG, ITEMS_MAX).await?;
    bench.batches.release(&taken, SHORT).await?;
    assert!(!bench.batches.renew(&taken, &lease(LONG, 1)).await?);
    assert!(!bench.batches.finish(&taken).await?);
    assert_eq!(ids(&bench.take_eventually(&agent("a")).await?).len(), 3);
    Ok(())
}
