//! Feedback documents in MongoDB.
//!
//! A part of a call is one `update` command of many upserts, each guarded by the version that is
//! there: `{_id, createdAt: {$lte: …}, digest: {$ne: …}}`. Where the guard does not hold, the server
//! tries to insert and answers 11000; so it does when two writers insert one id at the same time. Only
//! then is it asked what is there: the same or a newer version settles the statement, else it is sent
//! again.

use std::collections::HashMap;

use async_trait::async_trait;
use common::{AgentId, UnixMillis};
use futures_util::TryStreamExt as _;
use mongodb::bson::raw::cstr;
use mongodb::bson::{DateTime, Document, RawArrayBuf, RawDocumentBuf, doc, rawdoc};
use mongodb::options::ReadConcern;

use super::mongo_document::{COLLECTION, Encoded, decode, encode};
use super::parts::{self, PartLimits, PartWriter, Pending};
use super::{DOCUMENT_BYTES_MAX, FeedbackDocument, FeedbackDocuments, Upserted};
use crate::error::StoreError;
use crate::mongo::{MongoLink, StatementError, WriteReply, unavailable, update_command};

/// How often statements are sent that found another version than they expected. Each time somebody
/// else has written in between.
const ROUNDS_MAX: u32 = 8;
/// The statements of a command. The driver sends a command as one document, and servers take no
/// larger one than a stored document may be, plus 16 KiB, which is room for what is around one.
const PART_BYTES_MAX: usize = DOCUMENT_BYTES_MAX;
/// What a statement has around the document, besides the id and the digest.
const STATEMENT_OVERHEAD: usize = 160;
/// An id is in a statement twice more; longer ones leave no room for it around a large document.
const ID_BYTES_MAX: usize = 4_000;
const DOING: &str = "writing feedback documents";

/// Feedback documents in the collection `feedback` of a MongoDB.
#[derive(Debug, Clone)]
pub(super) struct MongoFeedbackDocuments {
    link: MongoLink,
    limits: PartLimits,
}

/// A document that is there, as far as it matters.
struct Found {
    created_at: Option<UnixMillis>,
    digest: Option<String>,
}

impl MongoFeedbackDocuments {
    /// The documents in a database, written by commands of at most so many.
    pub(super) fn new(link: MongoLink, documents_max: usize) -> Self {
        let limits = PartLimits {
            documents_max,
            bytes_max: PART_BYTES_MAX,
        };
        Self { link, limits }
    }

    /// Sends statements; gives those that must be looked at, each with what was said of it, if anything.
    async fn send<'p>(
        &self,
        open: &[Statement<'p>],
        outcomes: &mut HashMap<usize, Upserted>,
    ) -> Result<Vec<(Statement<'p>, Option<String>)>, StoreError> {
        let mut statements = RawArrayBuf::new();
        for (_, pending) in open {
            statements.push(statement(pending));
        }
        let concern = self.link.write_concern();
        let command = update_command(COLLECTION, statements, concern);
        let reply = WriteReply::parse(DOING, &self.link.run(DOING, command).await?)?;
        let done = usize::try_from(reply.count).unwrap_or(usize::MAX);
        // A server that gave up at the first error (as FerretDB does) says nothing of the rest.
        let all_answered = done.saturating_add(reply.failed.len()) == open.len();
        let mut failed: HashMap<usize, StatementError> = reply.failed.into_iter().collect();
        let mut unsettled = Vec::new();
        for (index, &(at, pending)) in open.iter().enumerate() {
            match failed.remove(&index) {
                Some(StatementError::Refused(why)) => {
                    outcomes.insert(at, Upserted::Refused(why));
                }
                Some(StatementError::Duplicate(said)) => {
                    unsettled.push(((at, pending), Some(said)));
                }
                None if all_answered => {
                    outcomes.insert(at, Upserted::Written);
                }
                None => unsettled.push(((at, pending), None)),
            }
        }
        Ok(unsettled)
    }

    /// What is there under the ids of statements, as a majority of the servers has it.
    async fn found(
        &self,
        statements: &[(Statement<'_>, Option<String>)],
    ) -> Result<HashMap<String, Found>, StoreError> {
        let ids: Vec<&str> = statements
            .iter()
            .map(|((_, pending), _)| id(pending))
            .collect();
        let database = self.link.database().await?;
        let collection = database.collection::<Document>(COLLECTION);
        let found = self.link.bounded(DOING, async {
            let find = collection
                .find(doc! { "_id": { "$in": ids } })
                .projection(doc! { "createdAt": 1, "digest": 1 })
                .read_concern(ReadConcern::majority());
            find.await?.try_collect::<Vec<Document>>().await
        });
        let found = found.await?.into_iter().filter_map(|document| {
            let found = Found {
                created_at: document
                    .get_datetime("createdAt")
                    .ok()
                    .map(|date| UnixMillis(date.timestamp_millis())),
                digest: document.get_str("digest").ok().map(str::to_owned),
            };
            Some((document.get_str("_id").ok()?.to_owned(), found))
        });
        Ok(found.collect())
    }
}

/// A document with its place in the part.
type Statement<'p> = (usize, &'p Pending<'p, Encoded>);

impl PartWriter for MongoFeedbackDocuments {
    type Encoded = Encoded;

    fn encode(&self, document: &FeedbackDocument) -> Result<(Encoded, usize), String> {
        let id_bytes = document.feedback_id.len();
        if id_bytes > ID_BYTES_MAX {
            return Err(format!(
                "its id has {id_bytes} bytes, more than {ID_BYTES_MAX}"
            ));
        }
        let encoded = encode(document);
        let size = encoded.bson.as_bytes().len();
        if size > DOCUMENT_BYTES_MAX {
            return Err(super::too_large(size));
        }
        Ok((encoded, size + id_bytes + STATEMENT_OVERHEAD))
    }

    async fn write(&self, part: &[Pending<'_, Encoded>]) -> Result<Vec<Upserted>, StoreError> {
        let mut outcomes = HashMap::with_capacity(part.len());
        let mut open: Vec<Statement<'_>> = part.iter().enumerate().collect();
        let mut round = 0;
        while !open.is_empty() {
            round += 1;
            let unsettled = self.send(&open, &mut outcomes).await?;
            if unsettled.is_empty() {
                break;
            }
            let found = self.found(&unsettled).await?;
            open.clear();
            for ((at, pending), said) in unsettled {
                match judge(pending, found.get(id(pending)), said, round == ROUNDS_MAX) {
                    Verdict::Settled(outcome) => drop(outcomes.insert(at, outcome)),
                    Verdict::Again => open.push((at, pending)),
                }
            }
            if round == ROUNDS_MAX && !open.is_empty() {
                let left = open.len();
                return Err(unavailable(format_args!(
                    "{DOING}: {left} were changed by others at each of {ROUNDS_MAX} tries"
                )));
            }
        }
        let mut outcomes: Vec<_> = outcomes.into_iter().collect();
        outcomes.sort_unstable_by_key(|(at, _)| *at);
        Ok(outcomes.into_iter().map(|(_, outcome)| outcome).collect())
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    Settled(Upserted),
    Again,
}

/// Compares a statement that was not written, or perhaps not, with what is there. `said` is what the
/// server said when it found a duplicate; nothing if it said nothing of this statement.
fn judge(
    pending: &Pending<'_, Encoded>,
    found: Option<&Found>,
    said: Option<String>,
    last_round: bool,
) -> Verdict {
    let Some(found) = found else {
        // A duplicate, and nobody has this id: another unique index of the collection.
        return match said {
            Some(said) if last_round => Verdict::Settled(Upserted::Refused(said)),
            _ => Verdict::Again,
        };
    };
    let Some(created_at) = found.created_at else {
        let why = "a document of this id is there that has no date as createdAt";
        return Verdict::Settled(Upserted::Refused(why.to_owned()));
    };
    let same = found.digest.as_ref() == Some(&pending.encoded.digest);
    if same && said.is_none() {
        return Verdict::Settled(Upserted::Written);
    }
    if same || created_at > pending.document.created_at {
        return Verdict::Settled(Upserted::Unchanged);
    }
    Verdict::Again
}

fn id<'p>(pending: &'p Pending<'_, Encoded>) -> &'p str {
    &pending.document.feedback_id
}

/// One upsert. The document replaces what is there: fields that it has no longer go.
fn statement(pending: &Pending<'_, Encoded>) -> RawDocumentBuf {
    let created_at = DateTime::from_millis(pending.document.created_at.0);
    let mut statement = rawdoc! {
        "q": {
            "_id": id(pending),
            "createdAt": { "$lte": created_at },
            "digest": { "$ne": pending.encoded.digest.as_str() },
        },
    };
    statement.append(cstr!("u"), &pending.encoded.bson);
    statement.append(cstr!("upsert"), true);
    statement
}

#[async_trait]
impl FeedbackDocuments for MongoFeedbackDocuments {
    async fn prepare(&self) -> Result<(), StoreError> {
        let fields = doc! { "agentId": 1, "createdAt": -1 };
        let index = ("agentId_1_createdAt_-1", fields);
        self.link.create_index(COLLECTION, index).await
    }

    async fn upsert(&self, documents: &[FeedbackDocument]) -> Result<Vec<Upserted>, StoreError> {
        parts::upsert(self, documents, self.limits).await
    }

    async fn of_agent(
        &self,
        agent: &AgentId,
        count: u32,
    ) -> Result<Vec<FeedbackDocument>, StoreError> {
        // To MongoDB no limit is a limit of 0.
        if count == 0 {
            return Ok(Vec::new());
        }
        let database = self.link.database().await?;
        let collection = database.collection::<RawDocumentBuf>(COLLECTION);
        let read = self.link.bounded("reading feedback documents", async {
            let find = collection
                .find(doc! { "agentId": agent.as_str() })
                .sort(doc! { "createdAt": -1 })
                .limit(i64::from(count));
            find.await?.try_collect::<Vec<RawDocumentBuf>>().await
        });
        let read = read.await?;
        read.iter().map(|document| decode(document)).collect()
    }

    async fn count(&self, agent: Option<&AgentId>) -> Result<u64, StoreError> {
        let filter = agent.map_or_else(Document::new, |agent| doc! { "agentId": agent.as_str() });
        let database = self.link.database().await?;
        let collection = database.collection::<RawDocumentBuf>(COLLECTION);
        let counted = self.link.bounded("counting feedback documents", async {
            collection.count_documents(filter).await
        });
        counted.await
    }
}

#[cfg(test)]
mod tests;
