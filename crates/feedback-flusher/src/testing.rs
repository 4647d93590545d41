//! What the tests of this crate share: items, and a document store that fails as it is told.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use clap::Parser as _;
use common::messages::FeedbackKind;
use common::topics::{FeedbackReplies, Topic as _};
use common::{AgentId, Clock, Unavailable, UnixMillis};
use stores::{FeedbackDocument, FeedbackDocuments, FeedbackItem, ItemOrigin, StoreError, Upserted};

use crate::settings::{Config, FlushSettings};

pub(crate) fn agent(id: &str) -> AgentId {
    AgentId::new(id).expect("valid")
}

/// The settings with these arguments.
pub(crate) fn settings(arguments: &[&str]) -> FlushSettings {
    let name = ["feedback-flusher"];
    let config = Config::try_parse_from(name.iter().chain(arguments));
    config.expect("settings").flush
}

/// A document of agent 7.
pub(crate) fn document(id: &str) -> FeedbackDocument {
    FeedbackDocument {
        feedback_id: id.to_owned(),
        agent_id: agent("7"),
        kind: FeedbackKind::Reply,
        room_id: "room".to_owned(),
        message_id: format!("message of {id}"),
        user_id: "ann".to_owned(),
        text: Some(format!("text of {id}")),
        rating: None,
        reaction: None,
        created_at: UnixMillis(1_000),
        extra: Vec::new(),
    }
}

/// An item of agent 7 with this document, brought by a reply.
pub(crate) fn item(id: &str) -> FeedbackItem {
    FeedbackItem {
        document: document(id),
        urgent: false,
        origin: ItemOrigin {
            stream: FeedbackReplies::INFO.name.to_owned(),
            id: format!("{}-1", id.len()),
            attempts: 1,
        },
    }
}

pub(crate) fn items(ids: &[&str]) -> Vec<FeedbackItem> {
    ids.iter().map(|id| item(id)).collect()
}

/// A clock that stands still.
#[derive(Debug, Default)]
pub(crate) struct StillClock(pub(crate) AtomicU64);

impl Clock for StillClock {
    fn now(&self) -> UnixMillis {
        let millis = self.0.load(Ordering::Relaxed);
        UnixMillis(i64::try_from(millis).unwrap_or(i64::MAX))
    }
}

/// Keeps documents in memory. It refuses those whose id begins with `refused`, and a call with one
/// whose id begins with `sick` fails.
#[derive(Debug, Default, Clone)]
pub(crate) struct FakeDocuments {
    kept: Arc<Mutex<BTreeMap<String, FeedbackDocument>>>,
    calls: Arc<AtomicU64>,
    down: Arc<AtomicBool>,
    sick: Arc<AtomicBool>,
}

impl FakeDocuments {
    pub(crate) fn ids(&self) -> BTreeSet<String> {
        self.kept().keys().cloned().collect()
    }

    pub(crate) fn calls(&self) -> u64 {
        self.calls.load(Ordering::Relaxed)
    }

    /// From now on it does not answer, or answers again.
    pub(crate) fn set_down(&self, down: bool) {
        self.down.store(down, Ordering::Relaxed);
    }

    /// From now on every call fails without blaming anybody.
    pub(crate) fn set_sick(&self, sick: bool) {
        self.sick.store(sick, Ordering::Relaxed);
    }

    fn kept(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, FeedbackDocument>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl FeedbackDocuments for FakeDocuments {
    async fn prepare(&self) -> Result<(), StoreError> {
        if self.down.load(Ordering::Relaxed) {
            return Err(Unavailable::new("the documents", "down").into());
        }
        Ok(())
    }

    async fn upsert(&self, documents: &[FeedbackDocument]) -> Result<Vec<Upserted>, StoreError> {
        self.calls.fetch_add(1, Ordering::Relaxed);
        self.prepare().await?;
        let mut ids = documents.iter().map(|document| &document.feedback_id);
        if self.sick.load(Ordering::Relaxed) || ids.any(|id| id.starts_with("sick")) {
            let detail = "a document that makes it fail".to_owned();
            return Err(StoreError::Corrupt {
                table: "documents",
                detail,
            });
        }
        let mut kept = self.kept();
        let upsert = |document: &FeedbackDocument| {
            let id = document.feedback_id.clone();
            if id.starts_with("refused") {
                return Upserted::Refused("never".to_owned());
            }
            match kept.insert(id, document.clone()) {
                None => Upserted::Written,
                Some(_) => Upserted::Unchanged,
            }
        };
        Ok(documents.iter().map(upsert).collect())
    }

    async fn of_agent(&self, _: &AgentId, _: u32) -> Result<Vec<FeedbackDocument>, StoreError> {
        Ok(self.kept().values().cloned().collect())
    }

    async fn count(&self, _: Option<&AgentId>) -> Result<u64, StoreError> {
        Ok(u64::try_from(self.kept().len()).unwrap_or(u64::MAX))
    }
}
