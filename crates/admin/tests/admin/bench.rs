//! A running `admin` and the bus that it shows.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use bus::{Bus, MessageId, Once, OnceRule, Settlement, SubscribeOptions, Verdict};
use common::RawFields;
use common::topics::{EventsRaw, Topic as _, TopicInfo, groups};
use serde_json::Value;
use testkit::servers::{
    HttpAnswer, RedisDatabase, WorkerProcess, free_address, http_send, redis_cli, redis_database,
};
use tokio_util::sync::CancellationToken;

pub(crate) const TOPIC: TopicInfo = EventsRaw::INFO;
/// What takes longer than this is taken to happen never; debug builds on a busy machine are slow.
pub(crate) const SOON: Duration = Duration::from_mins(1);
const COMMAND_TIMEOUT: Duration = Duration::from_secs(5);
const JSON: (&str, &str) = ("Content-Type", "application/json");

/// `admin` on a Redis and a SQLite of its own.
pub(crate) struct Bench {
    pub(crate) process: WorkerProcess,
    pub(crate) bus: Bus,
    pub(crate) api: String,
    /// Emptied when dropped.
    database: Option<RedisDatabase>,
}

impl Bench {
    /// `None` after a loud skip.
    pub(crate) fn start(variables: &[(&str, &str)]) -> Result<Option<Self>> {
        let Some(database) = redis_database() else {
            return Ok(None);
        };
        let mut bench = Self::on(database.url(), variables)?;
        bench.database = Some(database);
        Ok(Some(bench))
    }

    /// On a Redis that the test looks after.
    pub(crate) fn on(redis: &str, variables: &[(&str, &str)]) -> Result<Self> {
        let (ops, api) = (free_address()?, free_address()?);
        let mut all = vec![
            ("REDIS_URL", redis),
            ("DATABASE_URL", "sqlite://own.db?mode=rwc"),
            ("OPS_ADDRESS", &ops),
            ("ADMIN_ADDRESS", &api),
            ("REDIS_TIMEOUT_MS", "1000"),
        ];
        all.extend_from_slice(variables);
        let mut process = WorkerProcess::start("admin", &[], &all)?;
        process.wait_ready(&ops, SOON)?;
        Ok(Self {
            process,
            bus: Bus::on_redis(redis, COMMAND_TIMEOUT)?,
            api,
            database: None,
        })
    }

    /// Runs a command on its Redis as an administrator would.
    pub(crate) fn cli(&self, command: &[&str]) -> Result<String> {
        let database = self
            .database
            .as_ref()
            .context("the test has its own Redis")?;
        redis_cli(database.url(), command)
    }

    pub(crate) fn get(&self, path: &str) -> Result<HttpAnswer> {
        http_send(&self.api, ("GET", path), &[], b"")
    }

    /// The body of a 200.
    pub(crate) fn json(&self, path: &str) -> Result<Value> {
        body_of(&self.get(path)?, 200)
    }

    /// The body of a 200 to a body.
    pub(crate) fn post(&self, path: &str, body: &Value) -> Result<Value> {
        let answer = self.send(path, &[JSON], body.to_string().as_bytes())?;
        body_of(&answer, 200)
    }

    pub(crate) fn send(
        &self,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Result<HttpAnswer> {
        http_send(&self.api, ("POST", path), headers, body)
    }

    /// Publishes messages of one field, named `number`.
    pub(crate) async fn publish(&self, count: usize) -> Result<Vec<MessageId>> {
        let fields = |number: usize| vec![(b"number".to_vec(), number.to_string().into_bytes())];
        let all = (0..count).map(|number| RawFields(fields(number)));
        self.publish_fields(&all.collect::<Vec<_>>()).await
    }

    pub(crate) async fn publish_fields(&self, all: &[RawFields]) -> Result<Vec<MessageId>> {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let mut ids = Vec::new();
        for fields in all {
            let claim = Once {
                key: format!("test:{}", NEXT.fetch_add(1, Ordering::Relaxed)),
                claimant: "test",
                window: SOON,
                rule: OnceRule::Unclaimed,
            };
            let one = [fields.clone()];
            let published = self.bus.publish_fields_once(&TOPIC, &one, &[claim]).await?;
            ids.extend(published.into_iter().flatten());
        }
        Ok(ids)
    }

    /// Reads so many messages as the topic's group and settles them as `decide` says, which is
    /// given each one's number and id.
    pub(crate) async fn settle(
        &self,
        count: usize,
        decide: impl Fn(&mut Settlement, usize, MessageId),
    ) -> Result<()> {
        let options = SubscribeOptions {
            read_wait: Duration::from_millis(50),
            consumer: "test-reader".to_owned(),
            ..SubscribeOptions::default()
        };
        let stop = CancellationToken::new();
        let mut reading = self
            .bus
            .subscribe(TOPIC, groups::NORMALIZERS, options, stop.clone());
        let settling = async {
            let mut seen = 0;
            while seen < count {
                let next = tokio::time::timeout(SOON, reading.deliveries.next()).await;
                let batch = next.context("waiting for messages")?.context("it ended")?;
                let mut settlement = Settlement::default();
                for message in &batch.messages {
                    decide(&mut settlement, seen, message.id);
                    seen += 1;
                }
                reading.consumer.settle(&settlement).await?;
            }
            ensure!(seen == count, "{seen} messages instead of {count}");
            Ok(())
        };
        let settling = async {
            let settled = settling.await;
            // A read that is still under way would be given what is published next.
            stop.cancel();
            settled
        };
        let ((), settled) = tokio::join!(reading.driver, settling);
        settled
    }

    /// Publishes messages and gives them up for these reasons; gives the ids of their letters.
    pub(crate) async fn give_up(&self, reasons: &[&str]) -> Result<Vec<String>> {
        self.publish(reasons.len()).await?;
        self.settle(reasons.len(), |settlement, number, id| {
            let reason = reasons.get(number).copied().unwrap_or_default();
            settlement.dead.push(verdict(id, reason));
        })
        .await?;
        let letters = self
            .bus
            .dead_letters(&TOPIC, MessageId::ZERO, 1_000)
            .await?;
        Ok(letters.iter().map(|letter| letter.id.to_string()).collect())
    }
}

pub(crate) fn verdict(id: MessageId, reason: &str) -> Verdict {
    Verdict {
        id,
        reason: reason.to_owned(),
        error: format!("it was {reason}"),
    }
}

/// The JSON of an answer, which must have this status.
pub(crate) fn body_of(answer: &HttpAnswer, status: u16) -> Result<Value> {
    ensure!(answer.status == status, "{answer:?}");
    serde_json::from_str(&answer.body).with_context(|| answer.body.clone())
}

/// The code of a problem document, which must have this status.
pub(crate) fn code_of(answer: &HttpAnswer, status: u16) -> Result<String> {
    let body = body_of(answer, status)?;
    let kind = answer.header("Content-Type").unwrap_or_default();
    ensure!(kind == "application/problem+json", "{answer:?}");
    ensure!(at(&body, "/status") == status, "{answer:?}");
    let code = body.pointer("/code").and_then(Value::as_str);
    Ok(code.context("no code")?.to_owned())
}

/// A value by its JSON pointer; null if there is none.
pub(crate) fn at<'a>(body: &'a Value, pointer: &str) -> &'a Value {
    body.pointer(pointer).unwrap_or(&Value::Null)
}
