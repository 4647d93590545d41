//! Writing the documents of one flush to MongoDB: the store beside a bare `update` command of the
//! same documents. Both insert them, with the same write concern.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Result, ensure};
use clap::Parser;
use common::messages::FeedbackKind;
use common::{AgentId, UnixMillis};
use serde_json::{Value, json};
use stores::{
    Database, FeedbackDocument, FeedbackDocuments, FeedbackDocumentsSettings, MongoSettings,
};
use testkit::servers::{MongoServer, mongo_command};

use crate::measure::{Meter, Sample, Turns};

/// Documents of a flush.
pub(crate) const DOCUMENTS: u32 = 1_000;
/// Flushes of a turn.
const FLUSHES: u32 = 10;
const DATABASE: &str = "millrace_bench";

#[derive(Debug, Parser)]
struct Settings {
    #[command(flatten)]
    documents: FeedbackDocumentsSettings,
    #[command(flatten)]
    mongo: MongoSettings,
}

/// Documents per second of the bare command and of the store.
pub(crate) async fn beside_update(mongo: &MongoServer, repetitions: usize) -> Result<Turns> {
    let arguments = ["bench", "--mongodb-uri", mongo.url()];
    let settings = Settings::try_parse_from(
        arguments
            .into_iter()
            .chain(["--mongodb-database", DATABASE]),
    )?;
    // Not used where there is a MongoDB.
    let database = Database::open("sqlite::memory:", 1)?;
    let store = settings.documents.open(&settings.mongo, &database);
    let bare = async || bare(mongo);
    let ours = async || ours(mongo, &store).await;
    Turns::take(repetitions, bare, ours).await
}

async fn ours(mongo: &MongoServer, store: &Arc<dyn FeedbackDocuments>) -> Result<Sample> {
    empty(mongo)?;
    store.prepare().await?;
    let flushes: Vec<_> = (0..FLUSHES).map(documents).collect();
    let meter = Meter::start(&[std::process::id()], &[mongo.pid()?])?;
    for documents in &flushes {
        store.upsert(documents).await?;
    }
    let sample = meter.stop(FLUSHES * DOCUMENTS)?;
    check(mongo)?;
    Ok(sample)
}

fn bare(mongo: &MongoServer) -> Result<Sample> {
    empty(mongo)?;
    let statement = |document: &FeedbackDocument| {
        let id = &document.feedback_id;
        json!({"q": {"_id": id}, "u": as_json(document), "upsert": true})
    };
    let flushes: Vec<Value> = (0..FLUSHES)
        .map(|flush| documents(flush).iter().map(statement).collect())
        .collect();
    let meter = Meter::start(&[std::process::id()], &[mongo.pid()?])?;
    for statements in flushes {
        let command = [
            ("update", json!("feedback")),
            ("updates", statements),
            ("ordered", json!(false)),
            ("writeConcern", json!({"w": "majority", "j": true})),
        ];
        mongo_command(mongo.url(), DATABASE, &command)?;
    }
    let sample = meter.stop(FLUSHES * DOCUMENTS)?;
    check(mongo)?;
    Ok(sample)
}

fn empty(mongo: &MongoServer) -> Result<()> {
    mongo_command(mongo.url(), DATABASE, &[("dropDatabase", json!(1))]).map(drop)
}

fn check(mongo: &MongoServer) -> Result<()> {
    let count = mongo_command(mongo.url(), DATABASE, &[("count", json!("feedback"))])?;
    let count = count.get("n").and_then(Value::as_f64);
    let expected = f64::from(FLUSHES * DOCUMENTS);
    ensure!(count == Some(expected), "{count:?} documents");
    Ok(())
}

fn documents(flush: u32) -> Vec<FeedbackDocument> {
    let first = flush * DOCUMENTS;
    let numbers = first..first + DOCUMENTS;
    numbers.filter_map(document).collect()
}

fn document(number: u32) -> Option<FeedbackDocument> {
    Some(FeedbackDocument {
        feedback_id: format!("feedback-{number:08}"),
        agent_id: AgentId::new(format!("agent-{}", number / DOCUMENTS)).ok()?,
        kind: FeedbackKind::Reply,
        room_id: "room-17".to_owned(),
        message_id: format!("message-{number}"),
        user_id: format!("user-{}", number % 97),
        text: Some(
            "a reply that is about as long as replies are, some hundred characters".to_owned(),
        ),
        rating: Some("5".to_owned()),
        reaction: None,
        created_at: UnixMillis(1_767_225_600_000),
        extra: Vec::new(),
    })
}

fn as_json(document: &FeedbackDocument) -> Value {
    json!({
        "_id": document.feedback_id,
        "feedbackId": document.feedback_id,
        "agentId": document.agent_id.as_str(),
        "kind": document.kind.as_str(),
        "roomId": document.room_id,
        "messageId": document.message_id,
        "userId": document.user_id,
        "text": document.text,
        "rating": document.rating,
        "createdAt": document.created_at.0,
        "updatedAt": document.created_at.0,
        "digest": "0123456789abcdef0123456789abcdef",
    })
}

/// Milliseconds of one flush.
pub(crate) fn milliseconds(sample: &Sample) -> f64 {
    let flush = Duration::from_secs(1).as_secs_f64() * 1_000.0 * f64::from(DOCUMENTS);
    flush / sample.rate
}
