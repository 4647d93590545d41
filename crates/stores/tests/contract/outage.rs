//! A database that is away, and one that will never be there.

use std::collections::BTreeSet;

use anyhow::{Context as _, Result};
use stores::{Database, Features, StoreError};
use testkit::servers::{PostgresDatabase, PostgresServer, or_skip, postgres_database};

use crate::facts::{fact, purchase};
use crate::model::{assert_counted_once, every_bucket};
use crate::profiles::{email, known};
use crate::{Bench, CONNECTIONS_MAX, Kept, apply};

/// A server that the test may stop, and a bench on it.
async fn own_server() -> Result<Option<(PostgresServer, Bench)>> {
    let Some(server) = or_skip("PostgreSQL", PostgresServer::start()) else {
        return Ok(None);
    };
    let database: PostgresDatabase = server.create_database()?;
    let url = database.url().to_owned();
    let kept = Kept::Postgres {
        _database: database,
    };
    let bench = Bench::at(url, kept)?.migrated().await?;
    Ok(Some((server, bench)))
}

#[tokio::test]
async fn a_call_during_an_outage_says_unavailable_and_one_after_it_works() -> Result<()> {
    let Some((server, bench)) = own_server().await? else {
        return Ok(());
    };
    bench.apply(&[fact(1)]).await?;
    server.stop()?;
    let failure = bench.apply(&[fact(2)]).await.unwrap_err();
    assert!(failure.is_unavailable(), "{failure:?}");
    // Side by side: each waits five seconds for a connection.
    let (profiles, outbox) = (bench.profiles(), bench.outbox());
    let (analytics, query) = (bench.analytics(), every_bucket("acme", stores::Grain::Day));
    let keys = BTreeSet::from([email("ann@example.com")]);
    let (ready, known_profiles, waiting, buckets) = tokio::join!(
        bench.database.ready(),
        profiles.known(&keys),
        outbox.oldest(1),
        analytics.buckets(&query),
    );
    let failures = [
        ready.unwrap_err(),
        known_profiles.unwrap_err(),
        waiting.unwrap_err(),
        buckets.unwrap_err(),
    ];
    for failure in failures {
        assert!(failure.is_unavailable(), "{failure:?}");
    }

    server.restart()?;
    bench.database.ready().await?;
    assert_eq!(
        known(&bench, &[email("ann@example.com")])
            .await?
            .owners
            .len(),
        0
    );
    assert_eq!(bench.apply_again(&[fact(1), fact(2)]).await?.counted, 1);
    assert_counted_once(&bench, &[fact(1), fact(2)]).await
}

#[tokio::test]
async fn a_server_that_was_killed_and_came_back_has_all_of_a_batch_or_nothing() -> Result<()> {
    let Some((server, bench)) = own_server().await? else {
        return Ok(());
    };
    bench.apply(&[fact(1)]).await?;
    let facts = [fact(2), purchase(3, Some("A"))];
    // Everything is written, and nothing is committed.
    let killed = |_: &stores::Applied| {
        server.kill().expect("a server that runs");
        Vec::new()
    };
    let failure = bench
        .apply_causing(&facts, crate::NOW, killed)
        .await
        .unwrap_err();
    assert!(failure.is_unavailable(), "{failure:?}");

    server.restart()?;
    let applied = bench.apply_again(&facts).await?;
    assert_eq!((applied.counted, applied.repeats), (2, 0));
    let [two, three] = facts;
    assert_counted_once(&bench, &[fact(1), two, three]).await
}

/// Waiting would not help: a worker that starts says so and ends.
#[tokio::test]
async fn a_database_or_a_user_that_is_not_there_is_final_at_start_and_waited_for_later()
-> Result<()> {
    let Some(database) = postgres_database() else {
        return Ok(());
    };
    let url = database.url();
    let (server, name) = url.rsplit_once('/').context("a database's name")?;
    let (_, address) = server.split_once('@').context("a user")?;
    for wrong in [
        format!("{server}/nowhere_{name}"),
        format!("postgres://nobody_at_all:secret@{address}/{name}"),
    ] {
        let database = Database::open(&wrong, CONNECTIONS_MAX)?;
        for failure in [
            database.ready().await.unwrap_err(),
            database.migrate().await.unwrap_err(),
        ] {
            assert!(matches!(failure, StoreError::Refused { .. }), "{failure:?}");
            assert!(!failure.to_string().contains("secret"), "{failure}");
        }
        // In the middle of a run it may be a password that is being changed: no event is to blame.
        let features = Features::new(database);
        let failure = apply(&features, &[fact(1)], false).await.unwrap_err();
        assert!(failure.is_unavailable(), "{failure:?}");
    }
    Ok(())
}

#[tokio::test]
async fn a_file_that_cannot_be_opened_is_unavailable() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let url = format!(
        "sqlite://{}/missing/millrace.db?mode=rwc",
        folder.path().display()
    );
    let failure = Database::open(&url, 1)?.ready().await.unwrap_err();
    assert!(failure.is_unavailable(), "{failure:?}");
    Ok(())
}
