//! Topics are created when they are missing.

use std::sync::Arc;
use std::time::{Duration, Instant};

use common::topics::DEAD_LETTER_SUFFIX;
use rdkafka::admin::{AdminOptions, NewTopic, TopicReplication};
use rdkafka::error::RDKafkaErrorCode;

use super::client::{Core, blocking, down, failed, locked};
use super::looker::LOOKER;
use super::settings::NOTES_BYTES_MAX;
use crate::error::BusError;

/// Ends the name of the topic in which failed messages of a group wait.
pub(super) const RETRY_SUFFIX: &str = ".retry";
/// Between two looks whether a created topic is there for everybody.
const CREATED_INTERVAL: Duration = Duration::from_millis(20);

/// The topic in which failed messages of a group wait.
pub(super) fn retry_topic(topic: &str, group: &str) -> String {
    format!("{topic}.{group}{RETRY_SUFFIX}")
}

impl Core {
    /// Asks again whether a topic is there when it is needed next.
    pub(super) fn forget(&self, topic: &str) {
        locked(&self.topics).remove(topic);
    }

    /// How many partitions a topic has; `None` when there is no such topic. Blocks.
    pub(super) fn partitions(&self, topic: &str) -> Result<Option<i32>, BusError> {
        if let Some(count) = locked(&self.topics).get(topic) {
            return Ok(Some(*count));
        }
        let looker = self.looker(LOOKER)?;
        let count = looker.partitions(&self.settings.topic_name(topic))?;
        if let Some(count) = count {
            locked(&self.topics).insert(topic.to_owned(), count);
        }
        Ok(count)
    }
}

/// Creates a topic if it is missing; gives how many partitions it has.
pub(super) async fn ensure(core: &Arc<Core>, topic: &str) -> Result<i32, BusError> {
    ensure_like(core, topic, None).await
}

/// The same, with so many partitions if it is created.
pub(super) async fn ensure_like(
    core: &Arc<Core>,
    topic: &str,
    partitions: Option<i32>,
) -> Result<i32, BusError> {
    let known = locked(&core.topics).get(topic).copied();
    if let Some(count) = known {
        return Ok(count);
    }
    let name = topic.to_owned();
    let there = async || {
        let name = name.clone();
        blocking(core, move |core| core.partitions(&name)).await
    };
    if let Some(count) = there().await? {
        return Ok(count);
    }
    create(core, topic, partitions).await?;
    let deadline = Instant::now() + core.settings.timeout();
    loop {
        if let Some(count) = there().await? {
            return Ok(count);
        }
        if deadline <= Instant::now() {
            return Err(down(&format!("topic {topic} was created and is not there")));
        }
        tokio::time::sleep(CREATED_INTERVAL).await;
    }
}

async fn create(core: &Core, topic: &str, partitions: Option<i32>) -> Result<(), BusError> {
    let settings = &core.settings;
    let name = settings.topic_name(topic);
    let letters = topic.ends_with(DEAD_LETTER_SUFFIX);
    let with_notes = letters || topic.ends_with(RETRY_SUFFIX);
    let usual = i32::from(settings.kafka_partitions);
    let number = if letters {
        1
    } else {
        partitions.unwrap_or(usual)
    };
    let copies = settings.kafka_replication.map_or(-1, i32::from);
    let message_bytes = settings.kafka_message_bytes_max;
    let bytes = if with_notes {
        message_bytes
            .saturating_mul(2)
            .saturating_add(NOTES_BYTES_MAX)
    } else {
        message_bytes
    };
    let bytes = bytes.to_string();
    // What is finished is removed by the bus, which knows it; time does not.
    let mut new = NewTopic::new(&name, number, TopicReplication::Fixed(copies))
        .set("message.timestamp.type", "LogAppendTime")
        .set("max.message.bytes", &bytes)
        .set("retention.ms", "-1")
        .set("retention.bytes", "-1");
    if letters {
        new = new.set("cleanup.policy", "compact");
    }
    let timeout = settings.timeout();
    let options = AdminOptions::new()
        .request_timeout(Some(timeout))
        .operation_timeout(Some(timeout));
    let what = format!("creating topic {topic}");
    let results = core.admin()?.create_topics([&new], &options).await;
    for result in results.map_err(|error| failed(&what, &error))? {
        match result {
            Ok(_) => tracing::info!(topic = %name, partitions = number, "topic created"),
            Err((_, RDKafkaErrorCode::TopicAlreadyExists)) => {}
            Err((_, refusal)) => {
                let error = rdkafka::error::KafkaError::AdminOp(refusal);
                return Err(failed(&what, &error));
            }
        }
    }
    Ok(())
}
