//! The batches from outside.

use anyhow::Result;
use common::Clock as _;
use stores::BatchState;

use crate::{Bench, ITEMS_MAX, LONG, RealClock, SHORT, agent, items, urgent};

on_every_store! {
    an_overview_tells_what_each_batch_is,
    the_batches_of_an_agent_are_those_of_the_overview,
}

async fn an_overview_tells_what_each_batch_is(bench: Bench) -> Result<()> {
    let before = RealClock.now();
    bench.add(&items("a", 0..3)).await?;
    let first = bench.batches.of_agent(&agent("a")).await?;
    bench.add(&[urgent("a", 3)]).await?;
    let batches = bench.batches.of_agent(&agent("a")).await?;
    let [batch] = batches.as_slice() else {
        panic!("{batches:?}")
    };
    let after = RealClock.now();
    assert_eq!(
        (batch.state, batch.items, batch.attempts),
        (BatchState::Open, 4, 0)
    );
    assert!(batch.urgent && !first[0].urgent);
    assert!(
        batch.bytes > first[0].bytes && first[0].bytes > 50,
        "{batch:?}"
    );
    assert_eq!(batch.created_at, first[0].created_at);
    // The clock of the store may be read a little before or after this one.
    assert!(batch.created_at.0 >= before.0 - 1 && batch.last_item_at.0 <= after.0 + 1);
    assert!(batch.created_at <= batch.last_item_at && batch.age < LONG);
    Ok(())
}

async fn the_batches_of_an_agent_are_those_of_the_overview(bench: Bench) -> Result<()> {
    assert_eq!(bench.batches.of_agent(&agent("a")).await?, []);
    bench.add(&items("a", 0..3)).await?;
    bench.take(&agent("a"), LONG, ITEMS_MAX).await?;
    bench.add(&items("a", 3..5)).await?;
    bench.add(&items("b", 0..7)).await?;
    let died = bench.take(&agent("b"), SHORT, 4).await?;
    bench.batches.release(&died, SHORT).await?;
    let overview = bench.batches.overview(10).await?;
    assert_eq!((overview.total_batches, overview.total_items), (4, 12));
    let mut of_agents = bench.batches.of_agent(&agent("a")).await?;
    of_agents.extend(bench.batches.of_agent(&agent("b")).await?);
    let expected = [
        ("a", BatchState::Flushing, 3, 1),
        ("a", BatchState::Open, 2, 0),
        ("b", BatchState::Waiting, 4, 1),
        ("b", BatchState::Open, 3, 0),
    ];
    assert_eq!(of_agents.len(), expected.len());
    for (batch, (name, state, items, attempts)) in of_agents.iter().zip(expected) {
        assert_eq!(batch.agent_id, agent(name));
        assert_eq!(
            (batch.state, batch.items, batch.attempts),
            (state, items, attempts)
        );
        let mut same = overview
            .batches
            .iter()
            .filter(|seen| seen.agent_id == agent(name));
        let same = same
            .find(|seen| seen.state == state)
            .expect("a batch of both");
        // Time passes between the two.
        let same = stores::BatchOverview {
            age: batch.age,
            ..same.clone()
        };
        assert_eq!(&same, batch);
    }
    Ok(())
}
