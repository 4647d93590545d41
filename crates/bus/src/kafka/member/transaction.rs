//! One step for what is settled and what is published with it.

use futures_util::FutureExt as _;
use rdkafka::TopicPartitionList;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::KafkaError;
use rdkafka::producer::{DeliveryFuture, FutureProducer, Producer as _};

use super::desk::Hall;
use super::rebalancing::Attending;
use super::settling::Plan;
use super::{KafkaMember, unsettled};
use crate::error::BusError;
use crate::kafka::client::{Telling, down, failed, locked};
use crate::kafka::place::Place;
use crate::kafka::publish::{id_of, send};
use crate::message_id::MessageId;

impl KafkaMember {
    /// Publishes, and settles. When it fails, nobody knows what came of it until the books are read
    /// again.
    pub(super) fn transact(
        &self,
        consumer: &BaseConsumer<Attending>,
        hall: &mut Hall,
        plan: Plan,
    ) -> Result<(), BusError> {
        let what = "settling in a transaction";
        let list = self.list_of(&plan.pages)?;
        let producer = match self.producer() {
            Ok(producer) => producer,
            Err(error) => return Err(unsettled(what, &error, hall)),
        };
        let reports = match self.publish(&producer, &plan, (consumer, &list)) {
            Ok(reports) => reports,
            Err(error) => {
                self.abandon(&producer);
                return Err(unsettled(what, &error, hall));
            }
        };
        for spot in plan.closed {
            hall.close(spot);
        }
        for (partition, page) in plan.pages {
            if let Some(desk) = hall.desks.get_mut(&partition) {
                desk.set(page);
            }
        }
        for (outgoing, report) in plan.outgoing.into_iter().zip(reports) {
            let Some(known) = outgoing.moved else {
                continue;
            };
            let report = report.now_or_never().and_then(Result::ok);
            let id: Result<MessageId, BusError> = match report {
                Some(report) => id_of(report),
                None => Err(down(&"a message has no report")),
            };
            // Without its place it is found when it is fetched.
            if let Some(place) = id.ok().and_then(Place::of)
                && let Some(desk) = hall.desks.get_mut(&place.partition)
            {
                let pile = &mut desk.piles.retry;
                if pile.position <= place.offset {
                    hall.failed
                        .insert(known.id, (place.partition, place.offset));
                    pile.add_waiting(place.offset, known);
                }
            }
        }
        Ok(())
    }

    fn publish(
        &self,
        producer: &FutureProducer<Telling>,
        plan: &Plan,
        (consumer, list): (&BaseConsumer<Attending>, &TopicPartitionList),
    ) -> Result<Vec<DeliveryFuture>, KafkaError> {
        producer.begin_transaction()?;
        let mut reports = Vec::with_capacity(plan.outgoing.len());
        for outgoing in &plan.outgoing {
            let partition = outgoing.partition;
            reports.push(send(
                producer,
                &outgoing.topic,
                partition,
                &outgoing.record,
            )?);
        }
        let group = consumer.group_metadata().ok_or(KafkaError::Canceled)?;
        producer.send_offsets_to_transaction(list, &group, self.timeout())?;
        producer.commit_transaction(self.timeout())?;
        Ok(reports)
    }

    /// The producer of this member's transactions. A new one ends the transaction that another one of
    /// the same name may have left.
    fn producer(&self) -> Result<FutureProducer<Telling>, KafkaError> {
        let mut clients = locked(&self.clients);
        if let Some(producer) = &clients.producer {
            return Ok(producer.clone());
        }
        let id = format!("{}-{}", self.topic.name, self.membership.consumer);
        let producer = self
            .core
            .transactional(&self.core.settings.group_name(&id))?;
        producer.init_transactions(self.timeout())?;
        clients.producer = Some(producer.clone());
        clients.has_left_open = false;
        Ok(producer)
    }

    /// Ends a transaction that failed. When that fails, too, the next producer does it.
    fn abandon(&self, producer: &FutureProducer<Telling>) {
        if let Err(error) = producer.abort_transaction(self.timeout()) {
            tracing::info!(topic = self.topic.name, %error, "aborting failed; beginning anew");
            let mut clients = locked(&self.clients);
            clients.producer = None;
            clients.has_left_open = true;
        }
    }

    /// Ends a transaction that was left open: until then the brokers do not say what is committed.
    pub(super) fn end_transaction(&self) -> Result<(), BusError> {
        if !locked(&self.clients).has_left_open {
            return Ok(());
        }
        let ended = self.producer().map(drop);
        ended.map_err(|error| failed("ending a transaction", &error))
    }
}
