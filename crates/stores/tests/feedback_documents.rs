//! The contract of the feedback documents. Every case runs on every store: SQLite, PostgreSQL and
//! MongoDB, each a database of its own.

#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a helper of a test fails with the test"
)]

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use common::messages::FeedbackKind;
use common::{AgentId, UnixMillis};
use stores::{
    Database, FeedbackDocument, FeedbackDocuments, FeedbackDocumentsSettings, MongoSettings,
    StoreError, Upserted,
};
use tempfile::TempDir;
use testkit::servers::{
    MongoDatabase, MongoServer, PostgresDatabase, PostgresServer, mongo_database, or_skip,
    postgres_database,
};

/// Makes tests of the cases of a module, one on each store.
macro_rules! on_every_store {
    ($($case:ident,)*) => {
        mod sqlite {
            $(#[tokio::test]
            async fn $case() -> anyhow::Result<()> {
                super::$case(crate::Bench::on_sqlite().await?).await
            })*
        }

        mod postgres {
            $(#[tokio::test]
            async fn $case() -> anyhow::Result<()> {
                let Some(bench) = crate::Bench::on_postgres().await? else { return Ok(()) };
                super::$case(bench).await
            })*
        }

        mod mongodb {
            $(#[tokio::test]
            async fn $case() -> anyhow::Result<()> {
                let Some(bench) = crate::Bench::on_mongodb().await? else { return Ok(()) };
                super::$case(bench).await
            })*
        }
    };
}

#[path = "feedback_documents/concurrency.rs"]
mod concurrency;
#[path = "feedback_documents/half_open.rs"]
mod half_open;
#[path = "feedback_documents/on_mongodb.rs"]
mod on_mongodb;
#[path = "feedback_documents/outage.rs"]
mod outage;
#[path = "feedback_documents/reading.rs"]
mod reading;
#[path = "feedback_documents/refusing.rs"]
mod refusing;
#[path = "feedback_documents/versions.rs"]
mod versions;
#[path = "feedback_documents/writing.rs"]
mod writing;

/// Noon: 2026-11-20T12:00:00Z.
const NOW: i64 = 1_795_176_000_000;
const CONNECTIONS_MAX: u32 = 8;
const DOCUMENTS_MAX: u16 = 1_000;
/// Longer than a call takes on a machine that does much else.
const PATIENCE: Duration = Duration::from_mins(2);

/// An empty store.
#[derive(Clone)]
struct Bench {
    documents: Arc<dyn FeedbackDocuments>,
    place: Arc<Place>,
}

/// Where the store is; it goes when the bench is dropped.
enum Place {
    Sqlite { url: String, _folder: TempDir },
    Postgres(PostgresDatabase),
    MongoDb(MongoDatabase),
}

impl Place {
    fn url(&self) -> &str {
        match self {
            Self::Sqlite { url, .. } => url,
            Self::Postgres(database) => database.url(),
            Self::MongoDb(database) => database.url(),
        }
    }
}

impl Bench {
    async fn on_sqlite() -> Result<Self> {
        let folder = tempfile::tempdir().context("creating a folder")?;
        let file = folder.path().join("millrace.db");
        let url = format!("sqlite://{}?mode=rwc", file.display());
        Self::at(Place::Sqlite {
            url,
            _folder: folder,
        })
        .await
    }

    async fn on_postgres() -> Result<Option<Self>> {
        match postgres_database() {
            Some(database) => Self::at(Place::Postgres(database)).await.map(Some),
            None => Ok(None),
        }
    }

    async fn on_mongodb() -> Result<Option<Self>> {
        match mongo_database() {
            Some(database) => Self::at(Place::MongoDb(database)).await.map(Some),
            None => Ok(None),
        }
    }

    async fn at(place: Place) -> Result<Self> {
        if let Place::Postgres(database) = &place {
            Database::open(database.url(), 1)?.migrate().await?;
        }
        let documents = store(place.url(), DOCUMENTS_MAX, PATIENCE)?;
        documents.prepare().await?;
        Ok(Self {
            documents,
            place: Arc::new(place),
        })
    }

    /// The same store, whose commands write few documents at a time.
    fn in_small_parts(&self, documents_max: u16) -> Result<Self> {
        Ok(Self {
            documents: store(self.place.url(), documents_max, PATIENCE)?,
            place: Arc::clone(&self.place),
        })
    }

    fn is_sql(&self) -> bool {
        !matches!(*self.place, Place::MongoDb(_))
    }

    async fn upsert(&self, documents: &[FeedbackDocument]) -> Result<Vec<Upserted>, StoreError> {
        self.documents.upsert(documents).await
    }

    /// The only document of an agent.
    async fn only(&self, agent: &str) -> Result<FeedbackDocument> {
        let mut found = self.documents.of_agent(&self::agent(agent), 2).await?;
        anyhow::ensure!(found.len() == 1, "{} documents of {agent}", found.len());
        found.pop().context("no document")
    }

    async fn count(&self) -> Result<u64, StoreError> {
        self.documents.count(None).await
    }
}

/// The store at a URL.
fn store(
    url: &str,
    documents_max: u16,
    patience: Duration,
) -> Result<Arc<dyn FeedbackDocuments>, StoreError> {
    let settings = FeedbackDocumentsSettings {
        feedback_documents_per_command_max: documents_max,
    };
    let is_mongodb = url.starts_with("mongodb:");
    let patience_ms = u64::try_from(patience.as_millis()).unwrap_or(u64::MAX);
    let mongo = MongoSettings {
        mongodb_uri: is_mongodb.then(|| url.to_owned()),
        mongodb_database: None,
        mongodb_connect_timeout_ms: patience_ms.min(5_000),
        mongodb_timeout_ms: patience_ms,
    };
    // Not used where there is a MongoDB.
    let sql = if is_mongodb { "sqlite::memory:" } else { url };
    Ok(settings.open(&mongo, &Database::open(sql, CONNECTIONS_MAX)?))
}

fn agent(id: &str) -> AgentId {
    AgentId::new(id).expect("a valid id")
}

/// A document about the agent `7`.
fn document(id: &str) -> FeedbackDocument {
    FeedbackDocument {
        feedback_id: id.to_owned(),
        agent_id: agent("7"),
        kind: FeedbackKind::Reply,
        room_id: "room".to_owned(),
        message_id: "message".to_owned(),
        user_id: "ann".to_owned(),
        text: Some("well done".to_owned()),
        rating: Some("5".to_owned()),
        reaction: None,
        created_at: UnixMillis(NOW),
        extra: Vec::new(),
    }
}

/// Another version of it, so many milliseconds later.
fn later(document: &FeedbackDocument, millis: i64) -> FeedbackDocument {
    FeedbackDocument {
        created_at: UnixMillis(document.created_at.0 + millis),
        text: Some(format!("changed after {millis} ms")),
        ..document.clone()
    }
}

fn documents(range: std::ops::Range<usize>) -> Vec<FeedbackDocument> {
    range.map(|number| document(&number.to_string())).collect()
}

fn refused(outcome: &Upserted) -> &str {
    match outcome {
        Upserted::Refused(why) => why,
        Upserted::Written | Upserted::Unchanged => "",
    }
}

/// A MongoDB that the test may stop, and a database there.
async fn own_mongodb() -> Result<Option<(MongoServer, Bench)>> {
    let Some(server) = or_skip("MongoDB", MongoServer::start()) else {
        return Ok(None);
    };
    let bench = Bench::at(Place::MongoDb(server.create_database())).await?;
    Ok(Some((server, bench)))
}

/// A PostgreSQL that the test may stop, and a database there.
async fn own_postgres() -> Result<Option<(PostgresServer, Bench)>> {
    let Some(server) = or_skip("PostgreSQL", PostgresServer::start()) else {
        return Ok(None);
    };
    let bench = Bench::at(Place::Postgres(server.create_database()?)).await?;
    Ok(Some((server, bench)))
}
