//! Bringing a database to this version.

use anyhow::Result;
use stores::{Database, Engine, StoreError};
use tokio::task::JoinSet;

use crate::Bench;
use crate::facts::fact;

on_both_engines! {
    migrating_twice_changes_nothing,
}

async fn migrating_twice_changes_nothing(bench: Bench) -> Result<()> {
    bench.apply(&[fact(1)]).await?;
    assert_eq!(bench.database.pending_migrations().await?, 0);
    assert_eq!(bench.database.migrate().await?, 0);
    bench.database.ready().await?;
    assert_eq!(bench.apply_again(&[fact(1)]).await?.repeats, 1);
    Ok(())
}

#[tokio::test]
async fn a_server_that_was_never_migrated_says_what_to_run() -> Result<()> {
    let Some(bench) = Bench::on_postgres()? else {
        return Ok(());
    };
    assert_eq!(bench.database.engine(), Engine::Postgres);
    assert!(bench.database.pending_migrations().await? > 0);

    let unready = bench.database.ready().await.unwrap_err();
    assert!(unready.is_unavailable(), "{unready:?}");
    assert!(
        unready.to_string().contains("run `millrace migrate`"),
        "{unready}"
    );
    // The tables are still missing, and a stage that finds out waits.
    let failure = bench.apply(&[fact(1)]).await.unwrap_err();
    assert!(failure.is_unavailable(), "{failure:?}");

    assert!(bench.database.migrate().await? > 0);
    bench.database.ready().await?;
    assert_eq!(bench.apply(&[fact(1)]).await?.counted, 1);
    Ok(())
}

#[tokio::test]
async fn a_new_file_is_migrated_when_somebody_wants_it_ready() -> Result<()> {
    let bench = Bench::on_sqlite()?;
    assert_eq!(bench.database.engine(), Engine::Sqlite);
    let failure = bench.apply(&[fact(1)]).await.unwrap_err();
    assert!(failure.is_unavailable(), "{failure:?}");
    assert!(bench.database.pending_migrations().await? > 0);

    bench.database.ready().await?;
    assert_eq!(bench.database.pending_migrations().await?, 0);
    assert_eq!(bench.apply(&[fact(1)]).await?.counted, 1);
    Ok(())
}

#[tokio::test]
async fn eight_workers_migrate_one_file_at_the_same_time() -> Result<()> {
    migrate_side_by_side(Bench::on_sqlite()?).await
}

#[tokio::test]
async fn eight_workers_migrate_one_server_at_the_same_time() -> Result<()> {
    match Bench::on_postgres()? {
        Some(bench) => migrate_side_by_side(bench).await,
        None => Ok(()),
    }
}

/// Each with a pool of its own, as processes have.
async fn migrate_side_by_side(bench: Bench) -> Result<()> {
    let mut workers = JoinSet::new();
    for _ in 0..8 {
        let database = Database::open(&bench.url, 2)?;
        workers.spawn(async move {
            database.migrate().await?;
            database.ready().await
        });
    }
    for outcome in workers.join_all().await {
        outcome?;
    }
    assert_eq!(bench.apply(&[fact(1)]).await?.counted, 1);
    Ok(())
}

#[test]
fn what_is_no_database_of_ours_is_refused_with_what_is_allowed() {
    for url in ["", "millrace.db", "mysql://host/db", "mongodb://host"] {
        let refused = Database::open(url, 1).unwrap_err();
        assert!(matches!(refused, StoreError::Settings(_)), "{refused:?}");
        let text = refused.to_string();
        assert!(
            text.contains("DATABASE_URL") && text.contains("postgres://"),
            "{text}"
        );
    }
}
