//! An agent with very many items.

use std::time::{Duration, Instant};

use anyhow::Result;
use stores::BatchState;

use crate::{ANY, Bench, LONG, agent, ids, items, numbers};

on_stores_with_any_number_of_items! {
    an_agent_with_a_hundred_thousand_items_is_flushed_in_parts_in_time,
}

const ITEMS: usize = 100_000;
const PART: usize = 1_000;
/// Generous: one part must not cost as much as all of them.
const TIME_MAX: Duration = Duration::from_mins(1);

async fn an_agent_with_a_hundred_thousand_items_is_flushed_in_parts_in_time(
    bench: Bench,
) -> Result<()> {
    let started = Instant::now();
    for call in items("a", 0..ITEMS).chunks(500) {
        // Less than is packed.
        for part in call.chunks(100) {
            bench.add(part).await?;
        }
    }
    let mut next = 0;
    while !bench.batches.due(&ANY, 1).await?.is_empty() {
        let taken = bench.take(&agent("a"), LONG, PART).await?;
        assert_eq!(ids(&taken), numbers(next..next + PART));
        next += PART;
        let rest = bench.batches.of_agent(&agent("a")).await?;
        let left = rest.iter().filter(|batch| batch.state == BatchState::Open);
        let left: u64 = left.map(|batch| batch.items).sum();
        assert_eq!(left, u64::try_from(ITEMS - next)?);
        assert!(bench.batches.finish(&taken).await?);
    }
    assert_eq!(next, ITEMS);
    assert!(started.elapsed() < TIME_MAX, "{:?}", started.elapsed());
    bench.assert_empty().await
}
