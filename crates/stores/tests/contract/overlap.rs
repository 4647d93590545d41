//! A redelivery that meets its batch in the middle, on PostgreSQL, where both could run.

use std::sync::mpsc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use sqlx::Connection as _;
use stores::{Applied, EventFact, StoreError};
use testkit::servers::eventually_async;
use tokio::runtime::Handle;
use tokio::sync::mpsc::unbounded_channel;
use tokio::task::JoinHandle;

use crate::facts::random_facts;
use crate::model::assert_counted_once;
use crate::{Bench, NOW, POLICY, STAGE};

const SOON: Duration = Duration::from_secs(20);

#[tokio::test]
async fn a_redelivery_waits_for_the_batch_that_is_being_applied() -> Result<()> {
    second_waits_for_first([false, true]).await
}

#[tokio::test]
async fn a_batch_waits_for_its_redelivery_that_is_being_applied() -> Result<()> {
    second_waits_for_first([true, false]).await
}

#[tokio::test]
async fn a_redelivery_waits_for_another_redelivery() -> Result<()> {
    second_waits_for_first([true, true]).await
}

#[tokio::test]
async fn fresh_batches_do_not_wait_for_one_another() -> Result<()> {
    let Some(bench) = Bench::on_postgres()? else {
        return Ok(());
    };
    let bench = bench.migrated().await?;
    let facts = random_facts(&mut fastrand::Rng::with_seed(10), 0..20);
    let (one, two) = facts.split_at(10);
    // Nothing in common, or they would wait for rows.
    let (one, two) = (&one[..1], &two[..1]);
    let first = Halted::start(&bench, one, false).await?;
    bench.database.ready().await?;
    let elsewhere = EventFact {
        brand_id: crate::facts::brand("elsewhere"),
        origin_id: None,
        ..two[0].clone()
    };
    assert_eq!(bench.apply(&[elsewhere]).await?.counted, 1);
    assert_eq!(first.finish().await?.counted, 1);
    Ok(())
}

/// The second of two deliveries of the same messages begins when the effects of the first are
/// written and not committed.
async fn second_waits_for_first([first, second]: [bool; 2]) -> Result<()> {
    let Some(bench) = Bench::on_postgres()? else {
        return Ok(());
    };
    let bench = bench.migrated().await?;
    let facts = random_facts(&mut fastrand::Rng::with_seed(9), 0..50);
    let first = Halted::start(&bench, &facts, first).await?;
    let features = bench.features();
    let (of_second, outcome) = tokio::join!(
        async { crate::apply(&features, &facts, second).await },
        async {
            someone_waits(&bench).await?;
            first.finish().await
        }
    );
    assert_eq!(outcome?.counted, facts.len());
    let of_second = of_second?;
    assert_eq!((of_second.counted, of_second.repeats), (0, facts.len()));
    assert_counted_once(&bench, &facts).await
}

/// A delivery that stands still between its effects and its commit.
struct Halted {
    go_on: mpsc::Sender<()>,
    outcome: JoinHandle<Result<Applied, StoreError>>,
}

impl Halted {
    async fn start(bench: &Bench, facts: &[EventFact], repeats_possible: bool) -> Result<Self> {
        let (arrived, mut arrival) = unbounded_channel();
        let (go_on, signal) = mpsc::channel();
        let (features, facts) = (bench.features(), facts.to_vec());
        let halt = move |_: &Applied| {
            arrived.send(()).expect("the test waits for it");
            signal.recv_timeout(SOON).expect("the test says so");
            Vec::new()
        };
        // A thread of its own: it stands still for real, in a function that is not async.
        let runtime = Handle::current();
        let outcome = tokio::task::spawn_blocking(move || {
            let how = (repeats_possible, POLICY, NOW);
            runtime.block_on(features.apply(STAGE, &facts, how, halt))
        });
        tokio::time::timeout(SOON, arrival.recv())
            .await?
            .context("it ended before its effects")?;
        Ok(Self { go_on, outcome })
    }

    async fn finish(self) -> Result<Applied> {
        self.go_on.send(()).context("letting it go on")?;
        Ok(self.outcome.await??)
    }
}

/// Returns when somebody waits for the ledger's lock.
async fn someone_waits(bench: &Bench) -> Result<()> {
    let mut connection = sqlx::AnyConnection::connect(&bench.url).await?;
    let waiting = "SELECT COUNT(*) FROM pg_locks JOIN pg_database d ON d.oid = database \
        WHERE locktype = 'advisory' AND NOT granted AND d.datname = current_database()";
    eventually_async("a delivery to wait for the ledger", SOON, async || {
        let count: i64 = sqlx::query_scalar(waiting)
            .fetch_one(&mut connection)
            .await
            .ok()?;
        (count > 0).then_some(())
    })
    .await
}
