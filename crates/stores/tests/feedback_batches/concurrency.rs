//! Many add and many flush, all at the same time.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use anyhow::Result;
use tokio::task::JoinSet;

use crate::{ANY, Bench, LONG, SHORT, agent, ids, item, lease, numbers, set};

on_every_store! {
    nothing_is_lost_or_finished_twice_when_many_add_and_many_flush,
    only_one_of_many_takers_gets_a_batch,
}

const ADDERS: usize = 8;
const TAKERS: usize = 4;
const CALLS: usize = 60;
/// What stands in for MongoDB in tests reads all that waits for each look.
const CALLS_ON_MONGODB: usize = 6;
const ITEMS_OF_A_CALL: usize = 20;
const AGENTS: usize = 5;

/// What was finished, and how often.
type Finished = Arc<Mutex<BTreeMap<String, usize>>>;

async fn nothing_is_lost_or_finished_twice_when_many_add_and_many_flush(
    bench: Bench,
) -> Result<()> {
    let finished = Finished::default();
    let calls = match bench.mongo {
        Some(_) => CALLS_ON_MONGODB,
        None => CALLS,
    };
    let adding = Arc::new(AtomicUsize::new(ADDERS));
    let mut tasks = JoinSet::new();
    for adder in 0..ADDERS {
        let (bench, adding) = (bench.clone(), Arc::clone(&adding));
        tasks.spawn(async move {
            let result = add_all(&bench, (adder, calls)).await;
            adding.fetch_sub(1, Ordering::SeqCst);
            result
        });
    }
    for number in 0..TAKERS {
        let (bench, adding, finished) = (bench.clone(), Arc::clone(&adding), Arc::clone(&finished));
        tasks.spawn(async move { flush_all(&bench, number, &adding, &finished).await });
    }
    while let Some(result) = tasks.join_next().await {
        result??;
    }
    let finished = std::mem::take(&mut *finished.lock().unwrap());
    let twice: Vec<_> = finished.iter().filter(|(_, times)| **times != 1).collect();
    assert!(twice.is_empty(), "{twice:?}");
    assert_eq!(
        set(finished.keys().cloned()),
        set(numbers(0..ADDERS * calls * ITEMS_OF_A_CALL))
    );
    bench.assert_empty().await
}

async fn add_all(bench: &Bench, (adder, calls): (usize, usize)) -> Result<()> {
    for call in 0..calls {
        let first = (adder * calls + call) * ITEMS_OF_A_CALL;
        let items: Vec<_> = (first..first + ITEMS_OF_A_CALL)
            .map(|number| item(&format!("agent-{}", number % AGENTS), number))
            .collect();
        bench.add(&items).await?;
        tokio::task::yield_now().await;
    }
    Ok(())
}

/// Finishes most batches, gives some up, and lets some leases end.
async fn flush_all(
    bench: &Bench,
    number: usize,
    adding: &AtomicUsize,
    finished: &Finished,
) -> Result<()> {
    for turn in number.. {
        let is_last_look = adding.load(Ordering::SeqCst) == 0;
        for agent in bench.batches.due(&ANY, 10).await? {
            let length = if turn % 5 == 0 { SHORT } else { LONG };
            let Some(taken) = bench
                .batches
                .take(&agent, &lease(length, 50 + turn % 100))
                .await?
            else {
                continue;
            };
            tokio::task::yield_now().await;
            match turn % 5 {
                0 => continue,
                1 => {
                    bench.batches.release(&taken, SHORT).await?;
                    continue;
                }
                _ => {}
            }
            assert!(
                bench.batches.finish(&taken).await?,
                "nobody else can have it"
            );
            let mut finished = finished.lock().unwrap();
            for id in ids(&taken) {
                *finished.entry(id.to_owned()).or_default() += 1;
            }
        }
        let left = bench.batches.overview(0).await?;
        if is_last_look && left.total_batches == 0 {
            break;
        }
        tokio::task::yield_now().await;
    }
    Ok(())
}

async fn only_one_of_many_takers_gets_a_batch(bench: Bench) -> Result<()> {
    for round in 0..20 {
        bench.add(&[item("a", round)]).await?;
        let mut tasks = JoinSet::new();
        for _ in 0..TAKERS {
            let bench = bench.clone();
            tasks.spawn(async move { bench.batches.take(&agent("a"), &lease(LONG, 10)).await });
        }
        let mut taken = Vec::new();
        while let Some(result) = tasks.join_next().await {
            taken.extend(result??);
        }
        let [batch] = taken.as_slice() else {
            panic!("{taken:?}")
        };
        assert!(bench.batches.finish(batch).await?);
    }
    Ok(())
}
