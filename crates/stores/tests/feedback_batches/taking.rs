//! Taking and finishing.

use anyhow::Result;
use stores::BatchState;

use crate::{ANY, Bench, ITEMS_MAX, LONG, SHORT, agent, ids, items, numbers, urgent};

on_every_store! {
    nothing_is_taken_where_nothing_waits,
    only_one_flushes_an_agent_at_a_time,
    finishing_drops_what_was_taken_and_nothing_else,
    a_batch_is_taken_in_parts_oldest_first,
    a_part_is_one_item_at_least,
    what_is_left_of_an_urgent_batch_stays_urgent,
    after_everything_is_finished_nothing_is_left,
}

async fn nothing_is_taken_where_nothing_waits(bench: Bench) -> Result<()> {
    assert!(!bench.is_takeable(&agent("a")).await?);
    bench.add(&items("b", 0..1)).await?;
    assert!(!bench.is_takeable(&agent("a")).await?);
    let taken = bench.take(&agent("b"), LONG, ITEMS_MAX).await?;
    assert!(bench.batches.finish(&taken).await?);
    assert!(!bench.is_takeable(&agent("b")).await?);
    bench.assert_empty().await
}

async fn only_one_flushes_an_agent_at_a_time(bench: Bench) -> Result<()> {
    bench.add(&items("a", 0..3)).await?;
    let taken = bench.take(&agent("a"), LONG, ITEMS_MAX).await?;
    bench.add(&items("a", 3..5)).await?;
    assert!(
        !bench.is_takeable(&agent("a")).await?,
        "the first is not finished"
    );
    assert_eq!(bench.batches.due(&ANY, 10).await?, []);
    assert!(bench.batches.finish(&taken).await?);
    let next = bench.take(&agent("a"), LONG, ITEMS_MAX).await?;
    assert_eq!((ids(&next), next.attempts), (vec!["3", "4"], 1));
    Ok(())
}

async fn finishing_drops_what_was_taken_and_nothing_else(bench: Bench) -> Result<()> {
    bench.add(&items("a", 0..3)).await?;
    bench.add(&items("b", 0..3)).await?;
    let taken = bench.take(&agent("a"), LONG, ITEMS_MAX).await?;
    bench.add(&items("a", 3..5)).await?;
    assert!(bench.batches.finish(&taken).await?);
    assert!(!bench.batches.finish(&taken).await?, "it is gone");
    let overview = bench.batches.overview(10).await?;
    assert_eq!((overview.total_batches, overview.total_items), (2, 5));
    assert_eq!(bench.drain(ITEMS_MAX).await?.len(), 5);
    bench.assert_empty().await
}

async fn a_batch_is_taken_in_parts_oldest_first(bench: Bench) -> Result<()> {
    // So few at a time that they are not packed.
    for some in items("a", 0..1_100).chunks(100) {
        bench.add(some).await?;
    }
    for part in [0..501, 501..1_002, 1_002..1_100] {
        let is_due = bench.batches.due(&ANY, 10).await?;
        assert_eq!(is_due, [agent("a")], "the rest is not forgotten");
        let taken = bench.take(&agent("a"), LONG, 501).await?;
        assert_eq!(ids(&taken), numbers(part.clone()));
        let of_agent = bench.batches.of_agent(&agent("a")).await?;
        let found: Vec<_> = of_agent
            .iter()
            .map(|batch| (batch.state, batch.items))
            .collect();
        let (length, left) = (u64::try_from(part.len())?, u64::try_from(1_100 - part.end)?);
        let expected = [(BatchState::Flushing, length), (BatchState::Open, left)];
        assert_eq!(found, expected[..if left == 0 { 1 } else { 2 }]);
        assert!(bench.batches.finish(&taken).await?);
    }
    bench.assert_empty().await
}

async fn a_part_is_one_item_at_least(bench: Bench) -> Result<()> {
    bench.add(&items("a", 0..2)).await?;
    let taken = bench.take(&agent("a"), LONG, 0).await?;
    assert_eq!(ids(&taken), ["0"]);
    Ok(())
}

async fn what_is_left_of_an_urgent_batch_stays_urgent(bench: Bench) -> Result<()> {
    bench.add(&items("a", 0..2)).await?;
    bench.add(&[urgent("a", 2)]).await?;
    let taken = bench.take(&agent("a"), SHORT, 2).await?;
    assert!(bench.batches.finish(&taken).await?);
    let left = bench.batches.of_agent(&agent("a")).await?;
    assert!(left[0].urgent && left.len() == 1);
    let taken = bench.take(&agent("a"), SHORT, 2).await?;
    assert!(bench.batches.finish(&taken).await?);
    bench.add(&items("a", 3..4)).await?;
    let new = bench.batches.of_agent(&agent("a")).await?;
    assert!(!new[0].urgent, "urgency goes with its batch");
    Ok(())
}

async fn after_everything_is_finished_nothing_is_left(bench: Bench) -> Result<()> {
    for name in ["a", "b", "c"] {
        bench.add(&items(name, 0..10)).await?;
        bench.add(&[urgent(name, 10)]).await?;
    }
    let died = bench.take(&agent("a"), SHORT, 4).await?;
    let released = bench.take(&agent("b"), LONG, 4).await?;
    bench.batches.release(&released, LONG).await?;
    bench.batches.request_flush(None).await?;
    let again = bench.take_eventually(&agent("a")).await?;
    assert_eq!(again.items, died.items);
    assert!(bench.batches.finish(&again).await?);
    let drained = bench.drain(3).await?;
    assert_eq!(drained.len(), 33 - 4);
    bench.assert_empty().await
}
