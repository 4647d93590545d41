//! The least that a consumer can do: read, and acknowledge with the next read.

use anyhow::{Context as _, Result};
use common::fields::RawField;
use common::topics::{EventsRaw, Topic as _, groups};
use redis::Value;
use redis::aio::MultiplexedConnection;

use crate::redis_server::Redis;

const COUNT: usize = 500;
const STREAM: &str = EventsRaw::INFO.name;
const GROUP: &str = groups::NORMALIZERS;

pub(crate) struct BareLoop {
    connection: MultiplexedConnection,
    finished: Vec<Vec<u8>>,
}

impl BareLoop {
    pub(crate) async fn new(redis: &Redis) -> Result<Self> {
        Ok(Self {
            connection: redis.connection().await?,
            finished: Vec::new(),
        })
    }

    pub(crate) async fn create_group(&mut self) -> Result<()> {
        let mut command = redis::cmd("XGROUP");
        command.arg("CREATE").arg(STREAM).arg(GROUP).arg("0");
        command.arg("MKSTREAM");
        Ok(command.exec_async(&mut self.connection).await?)
    }

    /// The payloads of the next messages; those of the call before are acknowledged.
    pub(crate) async fn next(&mut self) -> Result<Vec<Vec<u8>>> {
        let mut pipeline = redis::pipe();
        if !self.finished.is_empty() {
            pipeline.cmd("XACK").arg(STREAM).arg(GROUP);
            pipeline.arg(&self.finished).ignore();
            self.finished.clear();
        }
        pipeline.cmd("XREADGROUP").arg("GROUP").arg(GROUP);
        pipeline.arg("bare").arg("COUNT").arg(COUNT);
        pipeline.arg("BLOCK").arg(500);
        pipeline.arg("STREAMS").arg(STREAM).arg(">");
        let replies: Vec<Value> = pipeline.query_async(&mut self.connection).await?;
        let mut payloads = Vec::with_capacity(COUNT);
        for entry in entries(replies).unwrap_or_default() {
            let (id, payload) = id_and_payload(entry).context("an entry without payload")?;
            self.finished.push(id);
            payloads.push(payload);
        }
        Ok(payloads)
    }

    /// Acknowledges what the last call gave.
    pub(crate) async fn finish(mut self) -> Result<()> {
        let mut command = redis::cmd("XACK");
        command.arg(STREAM).arg(GROUP).arg(&self.finished);
        Ok(command.exec_async(&mut self.connection).await?)
    }
}

/// `None` when nothing came in time.
fn entries(mut replies: Vec<Value>) -> Option<Vec<Value>> {
    let stream = array(replies.pop()?)?.pop()?;
    array(array(stream)?.pop()?)
}

fn array(value: Value) -> Option<Vec<Value>> {
    match value {
        Value::Array(values) => Some(values),
        _ => None,
    }
}

fn bytes(value: Value) -> Option<Vec<u8>> {
    match value {
        Value::BulkString(bytes) => Some(bytes),
        _ => None,
    }
}

fn id_and_payload(entry: Value) -> Option<RawField> {
    let mut parts = array(entry)?.into_iter();
    let id = bytes(parts.next()?)?;
    let mut texts = array(parts.next()?)?.into_iter();
    while let (Some(name), Some(value)) = (texts.next(), texts.next()) {
        if bytes(name)? == b"payload" {
            return Some((id, bytes(value)?));
        }
    }
    None
}
