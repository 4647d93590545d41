//! How documents lie in MongoDB, for the programs that read them there.

use anyhow::{Context as _, Result};
use common::AgentId;
use serde_json::{Value, json};
use stores::{FeedbackDocument, Upserted};
use testkit::servers::{MongoDatabase, mongo_command};

use crate::{Bench, NOW, Place, agent, document, documents, refused};

impl Bench {
    fn mongo(&self) -> Result<&MongoDatabase> {
        match &*self.place {
            Place::MongoDb(database) => Ok(database),
            Place::Sqlite { .. } | Place::Postgres(_) => anyhow::bail!("not on MongoDB"),
        }
    }

    /// Asks the server by other means than the store.
    fn ask(&self, command: &[(&str, Value)]) -> Result<Value> {
        let database = self.mongo()?;
        mongo_command(database.url(), database.name(), command)
    }

    fn find(&self, filter: Value) -> Result<Vec<Value>> {
        let answer = self.ask(&[("find", json!("feedback")), ("filter", filter)])?;
        let batch = answer.pointer("/cursor/firstBatch").context("no batch")?;
        Ok(batch.as_array().context("no list")?.clone())
    }
}

#[tokio::test]
async fn a_document_has_the_fields_that_are_promised() -> Result<()> {
    let Some(bench) = Bench::on_mongodb().await? else {
        return Ok(());
    };
    let extra = |name: &str| vec![(name.to_owned(), "x".to_owned())];
    let with_extra = FeedbackDocument {
        extra: extra("locale"),
        ..document("r-1")
    };
    let with_pairs = FeedbackDocument {
        extra: extra("a.b"),
        ..document("r-2")
    };
    bench.upsert(&[with_extra, with_pairs]).await?;
    let mut found = bench.find(json!({"_id": "r-1"}))?;
    let fields = found[0].as_object_mut().context("a document")?;
    let digest = fields.remove("digest").context("a digest")?;
    assert_eq!(digest.as_str().map(str::len), Some(36));
    let expected = json!({
        "_id": "r-1", "feedbackId": "r-1", "agentId": "7", "kind": "reply", "roomId": "room",
        "messageId": "message", "userId": "ann", "text": "well done", "rating": "5",
        "createdAt": NOW, "extra": {"locale": "x"},
    });
    assert_eq!(found[0], expected);
    // A date, not a number.
    assert_eq!(
        bench.find(json!({"createdAt": {"$type": "date"}}))?.len(),
        2
    );
    let found = bench.find(json!({"_id": "r-2"}))?;
    assert_eq!(
        found[0]["extraPairs"],
        json!([{"name": "a.b", "value": "x"}])
    );
    assert!(found[0].get("extra").is_none(), "{found:?}");
    Ok(())
}

#[tokio::test]
async fn an_index_serves_the_newest_documents_of_an_agent() -> Result<()> {
    let Some(bench) = Bench::on_mongodb().await? else {
        return Ok(());
    };
    let answer = bench.ask(&[("listIndexes", json!("feedback"))])?;
    let indexes = answer.pointer("/cursor/firstBatch").context("no batch")?;
    let keys: Vec<_> = indexes
        .as_array()
        .context("no list")?
        .iter()
        .map(|index| &index["key"])
        .collect();
    assert!(
        keys.contains(&&json!({"agentId": 1, "createdAt": -1})),
        "{keys:?}"
    );
    Ok(())
}

#[tokio::test]
async fn an_index_of_the_same_fields_by_another_name_will_do() -> Result<()> {
    let Some(bench) = Bench::on_mongodb().await? else {
        return Ok(());
    };
    bench.ask(&[("drop", json!("feedback"))])?;
    let index = json!([{"key": {"agentId": 1, "createdAt": -1}, "name": "by_agent"}]);
    bench.ask(&[("createIndexes", json!("feedback")), ("indexes", index)])?;
    bench.documents.prepare().await?;
    Ok(())
}

/// It may be of another program: it is neither overwritten nor taken for ours.
#[tokio::test]
async fn a_document_without_a_date_is_left_alone_and_its_successor_refused() -> Result<()> {
    let Some(bench) = Bench::on_mongodb().await? else {
        return Ok(());
    };
    let foreign = json!({"_id": "3", "createdAt": "yesterday"});
    let insert = [
        ("insert", json!("feedback")),
        ("documents", json!([foreign.clone()])),
    ];
    bench.ask(&insert)?;
    let outcomes = bench.upsert(&documents(0..6)).await?;
    for (number, outcome) in outcomes.iter().enumerate() {
        if number == 3 {
            assert!(refused(outcome).contains("createdAt"), "{outcome:?}");
        } else {
            assert_eq!(*outcome, Upserted::Written, "{number}");
        }
    }
    assert_eq!(bench.find(json!({"_id": "3"}))?, [foreign]);
    Ok(())
}

#[tokio::test]
async fn what_is_no_feedback_is_named_when_it_is_read() -> Result<()> {
    let Some(bench) = Bench::on_mongodb().await? else {
        return Ok(());
    };
    let foreign = json!({"_id": "x", "agentId": "7", "kind": "applause"});
    let insert = [
        ("insert", json!("feedback")),
        ("documents", json!([foreign])),
    ];
    bench.ask(&insert)?;
    let agent: AgentId = agent("7");
    let failure = bench.documents.of_agent(&agent, 5).await.unwrap_err();
    assert!(!failure.is_unavailable(), "{failure:?}");
    assert!(
        failure.to_string().starts_with("feedback holds"),
        "{failure}"
    );
    Ok(())
}
