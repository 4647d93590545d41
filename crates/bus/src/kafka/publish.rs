//! Appending records outside of transactions.

use std::sync::Arc;
use std::time::{Duration, Instant};

use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::future_producer::OwnedDeliveryResult;
use rdkafka::producer::{DeliveryFuture, FutureProducer, FutureRecord};

use super::client::{Core, Telling, down, failed};
use super::place::Place;
use super::record::Record;
use super::topics;
use crate::error::BusError;
use crate::message_id::MessageId;

/// Between two tries when the producer's queue is full.
const FULL_WAIT: Duration = Duration::from_millis(5);

/// Appends records to a topic, which is created if it is missing; gives what became of each.
pub(super) async fn publish(
    core: &Arc<Core>,
    topic: &str,
    records: &[Record],
) -> Result<Vec<Result<MessageId, BusError>>, BusError> {
    if records.is_empty() {
        return Ok(Vec::new());
    }
    topics::ensure(core, topic).await?;
    let producer = core.producer()?;
    let name = core.settings.topic_name(topic);
    let deadline = Instant::now() + core.settings.timeout();
    let mut sent = Vec::with_capacity(records.len());
    for record in records {
        sent.push(loop {
            match send(&producer, &name, None, record) {
                Err(error) if is_full(&error) && Instant::now() < deadline => {
                    tokio::time::sleep(FULL_WAIT).await;
                }
                result => break result,
            }
        });
    }
    let mut ids = Vec::with_capacity(records.len());
    for delivery in sent {
        ids.push(match delivery {
            Ok(delivery) => match delivery.await {
                Ok(report) => id_of(report),
                Err(_) => Err(down(&"the producer is gone")),
            },
            Err(error) => Err(failed("publishing", &error)),
        });
    }
    if ids.iter().any(Result::is_err) {
        // Somebody may have deleted it: the next call asks.
        core.forget(topic);
    }
    Ok(ids)
}

/// Hands a record to a producer.
pub(super) fn send(
    producer: &FutureProducer<Telling>,
    topic: &str,
    partition: Option<i32>,
    record: &Record,
) -> Result<DeliveryFuture, KafkaError> {
    let mut future: FutureRecord<'_, [u8], [u8]> = FutureRecord::to(topic);
    future.partition = partition;
    future.key = record.key.as_deref();
    future.payload = record.value.as_deref();
    future.headers = record.native_headers();
    producer.send_result(future).map_err(|(error, _)| error)
}

/// The id of a record by the report on its delivery.
pub(super) fn id_of(report: OwnedDeliveryResult) -> Result<MessageId, BusError> {
    let delivery = report.map_err(|(error, _)| failed("publishing", &error))?;
    let place = Place {
        partition: delivery.partition,
        offset: delivery.offset,
    };
    Ok(place.id(delivery.timestamp.to_millis().unwrap_or_default()))
}

fn is_full(error: &KafkaError) -> bool {
    error.rdkafka_error_code() == Some(RDKafkaErrorCode::QueueFull)
}
