//! Feedback that waits, and feedback that is kept.

use std::sync::Arc;

use anyhow::{Context as _, Result};
use clap::Parser;
use common::messages::FeedbackKind;
use common::{AgentId, UnixMillis};
use serde_json::{Value, json};
use stores::{
    Database, FeedbackBatchSettings, FeedbackBatches, FeedbackDocument, FeedbackDocumentsSettings,
    FeedbackItem, ItemOrigin, MongoSettings, RedisServers,
};
use testkit::servers::{http_send, redis_database};
use worker::SystemClock;

use crate::bench::{Bench, at, body_of, code_of};

#[derive(Debug, Parser)]
struct Stores {
    #[command(flatten)]
    redis: RedisServers,
    #[command(flatten)]
    mongo: MongoSettings,
    #[command(flatten)]
    batches: FeedbackBatchSettings,
    #[command(flatten)]
    documents: FeedbackDocumentsSettings,
}

impl Stores {
    fn at(redis: &str) -> Result<Self> {
        Ok(Self::try_parse_from(["test", "--redis-url", redis])?)
    }

    fn batches(&self) -> Result<Arc<dyn FeedbackBatches>> {
        let clock = Arc::new(SystemClock);
        Ok(self.batches.open(&self.redis, &self.mongo, clock)?)
    }
}

fn item(agent: &str, number: i64, urgent: bool) -> Result<FeedbackItem> {
    let document = FeedbackDocument {
        feedback_id: format!("f-{number}"),
        agent_id: AgentId::new(agent)?,
        kind: FeedbackKind::Reply,
        room_id: "room".to_owned(),
        message_id: format!("m-{number}"),
        user_id: "ann".to_owned(),
        text: Some("hello".to_owned()),
        rating: None,
        reaction: None,
        created_at: UnixMillis(number * 1_000),
        extra: Vec::new(),
    };
    let origin = ItemOrigin {
        stream: "feedback.reply.received".to_owned(),
        id: format!("{number}-0"),
        attempts: 1,
    };
    Ok(FeedbackItem {
        document,
        urgent,
        origin,
    })
}

#[tokio::test]
async fn what_waits_and_what_is_kept_is_shown_and_can_be_asked_to_be_flushed() -> Result<()> {
    let Some(redis) = redis_database() else {
        return Ok(());
    };
    let folder = tempfile::tempdir()?;
    let url = format!(
        "sqlite://{}?mode=rwc",
        folder.path().join("own.db").display()
    );
    let bench = Bench::on(redis.url(), &[("DATABASE_URL", &url)])?;
    let stores = Stores::at(redis.url())?;
    let batches = stores.batches()?;
    batches
        .add(&[item("7", 1, false)?, item("7", 2, true)?])
        .await?;
    batches.add(&[item("a/b", 3, false)?]).await?;
    let documents = stores
        .documents
        .open(&stores.mongo, &Database::open(&url, 2)?);
    let kept = [item("7", 4, false)?.document, item("7", 5, false)?.document];
    documents.upsert(&kept).await?;

    let stats = bench.json("/api/feedback/stats")?;
    let totals = ["/store", "/totalBatches", "/totalItems"].map(|name| at(&stats, name).clone());
    assert_eq!(totals, [json!("redis"), json!(2), json!(3)]);
    let first = at(&stats, "/batches/0").as_object().context("a batch")?;
    let mut names: Vec<&str> = first.keys().map(String::as_str).collect();
    names.sort_unstable();
    let expected = [
        "ageMs",
        "agentId",
        "attempts",
        "bytes",
        "createdAt",
        "lastItemAt",
        "size",
        "state",
        "urgent",
    ];
    assert_eq!(names, expected);
    let facts = ["agentId", "state", "size", "urgent", "attempts"].map(|name| first[name].clone());
    let expected = [json!("7"), json!("open"), json!(2), json!(true), json!(0)];
    assert_eq!(facts, expected);
    let one = bench.json("/api/feedback/stats?count=1")?;
    assert_eq!(at(&one, "/batches").as_array().map(Vec::len), Some(1));

    let agent = bench.json("/api/feedback/agents/7?count=1")?;
    assert_eq!(at(&agent, "/batches/0/size"), &json!(2));
    assert_eq!(at(&agent, "/documentCount"), &json!(2));
    // The newest.
    assert_eq!(at(&agent, "/documents/0/feedbackId"), &json!("f-5"));
    assert_eq!(at(&agent, "/documents/1"), &Value::Null);
    let slashed = bench.json("/api/feedback/agents/a%2Fb")?;
    assert_eq!(at(&slashed, "/batches/0/size"), &json!(1));

    let due = stores::DueWhen {
        items: 100,
        age: std::time::Duration::from_hours(1),
        urgent_age: std::time::Duration::from_hours(1),
    };
    assert_eq!(batches.due(&due, 10).await?, []);
    let asked = bench.post("/api/feedback/flush", &json!({ "agentId": "7" }))?;
    assert_eq!(asked, json!({ "requested": 1 }));
    assert_eq!(batches.due(&due, 10).await?, [AgentId::new("7")?]);
    let asked = bench.post("/api/feedback/flush", &json!({}))?;
    assert_eq!(asked, json!({ "requested": 2 }));
    assert_eq!(batches.due(&due, 10).await?.len(), 2);
    Ok(())
}

#[tokio::test]
async fn what_cannot_be_answered_says_why() -> Result<()> {
    let Some(bench) = Bench::start(&[("FEEDBACK_BATCH_STORE", "memory")])? else {
        return Ok(());
    };
    let stats = bench.get("/api/feedback/stats")?;
    assert_eq!(code_of(&stats, 409)?, "batches_are_in_memory");
    assert!(stats.body.contains("/metrics"), "{stats:?}");
    let agent = bench.json("/api/feedback/agents/7")?;
    let facts = ["/batches", "/documentCount"].map(|name| at(&agent, name).clone());
    assert_eq!(facts, [Value::Null, json!(0)]);
    let long = format!("/api/feedback/agents/{}", "x".repeat(201));
    assert_eq!(code_of(&bench.get(&long)?, 400)?, "invalid_agent_id");

    let flush = |body: &[u8], headers: &[(&str, &str)]| {
        http_send(&bench.api, ("POST", "/api/feedback/flush"), headers, body)
    };
    let json = [("Content-Type", "application/json")];
    for (body, code) in [
        (&b"{\"agentId\": \"\"}"[..], "invalid_agent_id"),
        (b"{\"agent\": \"7\"}", "invalid_body"),
        (b"7", "invalid_body"),
    ] {
        assert_eq!(code_of(&flush(body, &json)?, 400)?, code);
    }
    assert_eq!(
        code_of(&flush(b"{}", &json)?, 409)?,
        "batches_are_in_memory"
    );
    // A form on another site cannot ask for it.
    assert_ne!(flush(b"{}", &[])?.status, 200);
    assert!(body_of(&flush(b"{}", &[])?, 200).is_err());
    Ok(())
}
