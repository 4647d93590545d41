//! The contract of the stores. Every case of SQL runs on both engines: SQLite, a file in a folder of
//! its own, and PostgreSQL, a database of its own.

#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a helper of a test fails with the test"
)]

use std::time::Duration;

use anyhow::{Context as _, Result};
use common::UnixMillis;
use stores::{
    Analytics, Applied, Database, EventFact, Features, Outbox, OutboxMessage, PredictionPolicy,
    Profiles, StoreError,
};
use tempfile::TempDir;
use testkit::servers::{PostgresDatabase, postgres_database};

/// Makes tests of the cases of a module, one on each engine.
macro_rules! on_both_engines {
    ($($case:ident,)*) => {
        mod sqlite {
            $(#[tokio::test]
            async fn $case() -> anyhow::Result<()> {
                super::$case(crate::Bench::on_sqlite()?.migrated().await?).await
            })*
        }

        mod postgres {
            $(#[tokio::test]
            async fn $case() -> anyhow::Result<()> {
                let Some(bench) = crate::Bench::on_postgres()? else { return Ok(()) };
                super::$case(bench.migrated().await?).await
            })*
        }
    };
}

#[path = "contract/analytics.rs"]
mod analytics;
#[path = "contract/applied_at.rs"]
mod applied_at;
#[path = "contract/atomicity.rs"]
mod atomicity;
#[path = "contract/attaching.rs"]
mod attaching;
#[path = "contract/concurrency.rs"]
mod concurrency;
#[path = "contract/facts.rs"]
mod facts;
#[path = "contract/features.rs"]
mod features;
#[path = "contract/generated.rs"]
mod generated;
#[path = "contract/half_open.rs"]
mod half_open;
#[path = "contract/migrating.rs"]
mod migrating;
#[path = "contract/model.rs"]
mod model;
#[path = "contract/once.rs"]
mod once;
#[path = "contract/orders.rs"]
mod orders;
#[path = "contract/outage.rs"]
mod outage;
#[path = "contract/outbox.rs"]
mod outbox;
#[path = "contract/overlap.rs"]
mod overlap;
#[path = "contract/predictions.rs"]
mod predictions;
#[path = "contract/profiles.rs"]
mod profiles;
#[path = "contract/pruning.rs"]
mod pruning;
#[path = "contract/texts.rs"]
mod texts;
#[path = "contract/unique_profiles.rs"]
mod unique_profiles;

const STAGE: &str = "event-processors";
/// Noon: 2026-11-20T12:00:00Z.
const NOW: UnixMillis = UnixMillis(1_795_176_000_000);
const POLICY: PredictionPolicy = PredictionPolicy {
    interval: Duration::from_hours(1),
};
/// A connection for each of the tasks of a case that runs some side by side.
const CONNECTIONS_MAX: u32 = 8;

/// An empty database.
struct Bench {
    database: Database,
    url: String,
    _kept: Kept,
}

/// What goes when the bench is dropped.
enum Kept {
    Folder { _folder: TempDir },
    Postgres { _database: PostgresDatabase },
}

impl Bench {
    fn on_sqlite() -> Result<Self> {
        let folder = tempfile::tempdir().context("creating a folder")?;
        let file = folder.path().join("millrace.db");
        let url = format!("sqlite://{}?mode=rwc", file.display());
        Self::at(url, Kept::Folder { _folder: folder })
    }

    fn on_postgres() -> Result<Option<Self>> {
        let Some(database) = postgres_database() else {
            return Ok(None);
        };
        let url = database.url().to_owned();
        let kept = Kept::Postgres {
            _database: database,
        };
        Self::at(url, kept).map(Some)
    }

    fn at(url: String, kept: Kept) -> Result<Self> {
        let database = Database::open(&url, CONNECTIONS_MAX)?;
        Ok(Self {
            database,
            url,
            _kept: kept,
        })
    }

    async fn migrated(self) -> Result<Self> {
        self.database.migrate().await?;
        Ok(self)
    }

    fn features(&self) -> Features {
        Features::new(self.database.clone())
    }

    fn analytics(&self) -> Analytics {
        Analytics::new(self.database.clone())
    }

    fn profiles(&self) -> Profiles {
        Profiles::new(self.database.clone())
    }

    fn outbox(&self) -> Outbox {
        Outbox::new(self.database.clone())
    }

    /// Applies messages that were not delivered before.
    async fn apply(&self, facts: &[EventFact]) -> Result<Applied, StoreError> {
        apply(&self.features(), facts, false).await
    }

    /// Applies messages of which some may have been delivered before.
    async fn apply_again(&self, facts: &[EventFact]) -> Result<Applied, StoreError> {
        apply(&self.features(), facts, true).await
    }

    /// Applies messages that were not delivered before, and what they cause.
    async fn apply_causing(
        &self,
        facts: &[EventFact],
        now: UnixMillis,
        causes: impl Fn(&Applied) -> Vec<OutboxMessage> + Send,
    ) -> Result<Applied, StoreError> {
        self.features()
            .apply(STAGE, facts, (false, POLICY, now), causes)
            .await
    }

    /// Runs a statement of the test's own.
    async fn execute(&self, statement: &'static str) -> Result<()> {
        use sqlx::Connection as _;
        sqlx::any::install_default_drivers();
        let mut connection = sqlx::AnyConnection::connect(&self.url).await?;
        sqlx::query(statement).execute(&mut connection).await?;
        connection.close().await?;
        Ok(())
    }
}

async fn apply(
    features: &Features,
    facts: &[EventFact],
    repeats_possible: bool,
) -> Result<Applied, StoreError> {
    let how = (repeats_possible, POLICY, NOW);
    features.apply(STAGE, facts, how, |_| Vec::new()).await
}
