//! MongoDB: where it is, a client that connects when first used, and commands that end in time.

mod error;
mod settings;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use common::Unavailable;
use mongodb::bson::{Document, RawDocumentBuf, cstr, doc, rawdoc};
use mongodb::options::ClientOptions;
use mongodb::{Client, Database};
use tokio::sync::OnceCell;

pub(crate) use self::error::{StatementError, WriteReply, number};
pub use self::settings::MongoSettings;
use crate::error::StoreError;

/// The database where neither the settings nor the URL name one.
const DATABASE_DEFAULT: &str = "millrace";
/// MongoDB's answer when an index of the same fields has another name: it does what it should.
const INDEX_OPTIONS_CONFLICT: i32 = 85;
/// How often the driver looks after its servers. Half of its default: one that vanished without a word
/// is noticed within this and a connect time-out.
const HEARTBEAT: Duration = Duration::from_secs(5);

/// A database on MongoDB. Clones share its connections.
#[derive(Clone)]
pub(crate) struct MongoLink {
    uri: Arc<str>,
    settings: MongoSettings,
    database: Arc<OnceCell<Database>>,
}

/// The URL may hold a password and is not printed.
impl fmt::Debug for MongoLink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MongoLink").finish_non_exhaustive()
    }
}

impl MongoLink {
    /// Connects when first used.
    pub(crate) fn new(uri: &str, settings: MongoSettings) -> Self {
        Self {
            uri: uri.into(),
            settings,
            database: Arc::default(),
        }
    }

    /// What a write waits for: a majority of the servers, and their disks. The time-out says how long;
    /// what is written after it stays written, and nobody was told.
    pub(crate) fn write_concern(&self) -> WriteConcern {
        let wait = self.settings.mongodb_timeout().as_millis() / 2;
        WriteConcern {
            wait_ms: i64::try_from(wait).unwrap_or(i64::MAX),
        }
    }

    /// The database. Names are resolved when it is asked for first.
    pub(crate) async fn database(&self) -> Result<&Database, StoreError> {
        let connecting = self.database.get_or_try_init(|| self.connect());
        connecting.await
    }

    async fn connect(&self) -> Result<Database, StoreError> {
        let doing = "connecting to MongoDB";
        let mut options = self
            .bounded(doing, async { ClientOptions::parse(&*self.uri).await })
            .await?;
        let connect_timeout = self.settings.mongodb_connect_timeout();
        options.connect_timeout = Some(connect_timeout);
        options.server_selection_timeout = Some(connect_timeout);
        options.heartbeat_freq = Some(HEARTBEAT);
        options.app_name = options.app_name.or_else(|| Some("millrace".to_owned()));
        let named = self.settings.mongodb_database.clone();
        let name = named
            .or_else(|| options.default_database.clone())
            .unwrap_or_else(|| DATABASE_DEFAULT.to_owned());
        let client = Client::with_options(options);
        let client = client.map_err(|error| StoreError::of_mongo(doing, error))?;
        Ok(client.database(&name))
    }

    /// Runs a command as it is: the driver repeats none of these, so a server without retryable writes
    /// (a single one) is as good as any.
    pub(crate) async fn run(
        &self,
        doing: &'static str,
        command: RawDocumentBuf,
    ) -> Result<Document, StoreError> {
        let database = self.database().await?;
        self.bounded(doing, async { database.run_raw_command(command).await })
            .await
    }

    /// [`MongoLink::run`] for a command that is put together as a document.
    pub(crate) async fn run_document(
        &self,
        doing: &'static str,
        command: Document,
    ) -> Result<Document, StoreError> {
        let database = self.database().await?;
        self.bounded(doing, async { database.run_command(command).await })
            .await
    }

    /// Creates an index of a collection if no index of the same fields is there.
    pub(crate) async fn create_index(
        &self,
        collection: &str,
        (name, fields): (&str, Document),
    ) -> Result<(), StoreError> {
        let command = doc! {
            "createIndexes": collection,
            "indexes": [{ "key": fields, "name": name }],
        };
        let database = self.database().await?;
        let created = self.within(async { database.run_command(command).await });
        match created.await {
            Some(Ok(_)) => Ok(()),
            Some(Err(error)) if error::code(&error) == Some(INDEX_OPTIONS_CONFLICT) => Ok(()),
            Some(Err(error)) => Err(StoreError::of_mongo_at_start("creating an index", error)),
            None => Err(self.too_late("creating an index")),
        }
    }

    /// Runs a call of the driver that ends in time. A connection that is left in the middle of a
    /// command is not used again.
    pub(crate) async fn bounded<T>(
        &self,
        doing: &'static str,
        call: impl Future<Output = mongodb::error::Result<T>>,
    ) -> Result<T, StoreError> {
        match self.within(call).await {
            Some(result) => result.map_err(|error| StoreError::of_mongo(doing, error)),
            None => Err(self.too_late(doing)),
        }
    }

    async fn within<T>(&self, call: impl Future<Output = T>) -> Option<T> {
        // On the heap: a call of the driver is large.
        let call = Box::pin(call);
        tokio::time::timeout(self.settings.mongodb_timeout(), call)
            .await
            .ok()
    }

    fn too_late(&self, doing: &str) -> StoreError {
        let waited = self.settings.mongodb_timeout();
        unavailable(format_args!("{doing}: no answer within {waited:?}"))
    }
}

/// What a write waits for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct WriteConcern {
    wait_ms: i64,
}

impl From<WriteConcern> for Document {
    fn from(concern: WriteConcern) -> Self {
        doc! { "w": "majority", "j": true, "wtimeout": concern.wait_ms }
    }
}

impl From<WriteConcern> for RawDocumentBuf {
    fn from(concern: WriteConcern) -> Self {
        rawdoc! { "w": "majority", "j": true, "wtimeout": concern.wait_ms }
    }
}

/// MongoDB cannot be used now.
pub(crate) fn unavailable(detail: impl fmt::Display) -> StoreError {
    StoreError::Unavailable(Unavailable::new("mongodb", detail))
}

/// An `update` command of many statements, none of which waits for another.
pub(crate) fn update_command(
    collection: &str,
    statements: mongodb::bson::RawArrayBuf,
    write_concern: WriteConcern,
) -> RawDocumentBuf {
    let mut command = rawdoc! { "update": collection };
    command.append(cstr!("updates"), statements);
    command.append(cstr!("ordered"), false);
    command.append(cstr!("writeConcern"), RawDocumentBuf::from(write_concern));
    command
}
