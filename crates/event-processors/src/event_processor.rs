//! The stage `event-processors`. Reads `events.normalized`; writes features, analytics, orders and
//! the outbox (SQL), and unique profiles (Redis).
//!
//! Redelivery is harmless: the effects are committed with the ids under which the messages that
//! caused them were first published, and adding somebody to an estimate twice changes nothing.

use std::sync::Arc;

use anyhow::Context as _;
use bus::MessageId;
use common::event_types::PURCHASE;
use common::ids::check_text;
use common::limits::AMOUNT_MINOR_MAX;
use common::messages::{
    JsonText, NormalizedEvent, PredictionKind, PredictionRequest, RejectedEvent,
};
use common::topics::{EventsNormalized, EventsRejected, PredictionRequests, Topic, groups};
use common::{BrandId, Clock, ProfileId, RawFields, UnixMillis};
use serde::Deserialize;
use stores::{
    Applied, EventFact, Features, MessageKey, OutboxMessage, PredictionPolicy, Purchase,
    UniqueProfiles, UniqueSighting,
};
use worker::{Batch, Processor, Received, Verdicts};

use crate::metrics;

/// The reason of a purchase whose order was counted before.
const DUPLICATE_ORDER: &str = "duplicate_order";

/// Applies events to features and analytics.
pub(crate) struct EventProcessor {
    features: Features,
    unique: UniqueProfiles,
    policy: PredictionPolicy,
    clock: Arc<dyn Clock>,
}

/// What the normal form of a purchase must hold.
#[derive(Deserialize)]
struct NormalPurchase {
    amount_minor: i64,
    currency: String,
    #[serde(default)]
    order_id: Option<String>,
}

impl EventProcessor {
    pub(crate) fn new(
        features: Features,
        unique: UniqueProfiles,
        policy: PredictionPolicy,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self {
            features,
            unique,
            policy,
            clock,
        }
    }
}

impl Processor for EventProcessor {
    const GROUP: &'static str = groups::EVENT_PROCESSORS;
    type Input = EventsNormalized;

    async fn process(&self, batch: &Batch<EventsNormalized>) -> anyhow::Result<Verdicts> {
        let now = self.clock.now();
        let mut verdicts = Verdicts::all_done();
        let mut facts: Vec<EventFact> = Vec::with_capacity(batch.messages.len());
        let mut sources: Vec<&NormalizedEvent> = Vec::with_capacity(batch.messages.len());
        for received in &batch.messages {
            match fact(received) {
                Ok(fact) => {
                    facts.push(fact);
                    sources.push(&received.message);
                }
                Err(error) => {
                    verdicts.dead_letter(
                        received.id,
                        "not_in_normal_form",
                        worker::explain(&error),
                    );
                }
            }
        }
        let repeats_possible = batch.messages.iter().any(|received| received.repeat);
        // Before the commit: after it, a crash would leave people uncounted for ever.
        self.unique.add(&sightings(&facts)).await?;
        let causes = |applied: &Applied| causes(applied, &sources, now);
        let applied = self
            .features
            .apply(
                Self::GROUP,
                &facts,
                (repeats_possible, self.policy, now),
                causes,
            )
            .await?;
        metrics::applied(&applied);
        Ok(verdicts)
    }
}

impl NormalPurchase {
    /// Other programs may write into the stream too.
    fn check(&self) -> anyhow::Result<()> {
        anyhow::ensure!(
            (0..=AMOUNT_MINOR_MAX).contains(&self.amount_minor),
            "amount_minor is not between 0 and {AMOUNT_MINOR_MAX}"
        );
        let letters = self.currency.bytes().all(|byte| byte.is_ascii_uppercase());
        anyhow::ensure!(
            letters && self.currency.len() == 3,
            "currency is no ISO 4217 code"
        );
        if let Some(order) = &self.order_id {
            check_text(order).context("order_id")?;
        }
        Ok(())
    }
}

fn fact(received: &Received<NormalizedEvent>) -> anyhow::Result<EventFact> {
    let event = &received.message;
    let purchase = if event.event_type.as_str() == PURCHASE {
        let normal: NormalPurchase = serde_json::from_str(&event.normalized_payload.0)?;
        normal.check()?;
        Some(Purchase {
            order_id: normal.order_id,
            currency: normal.currency,
            amount_minor: normal.amount_minor,
        })
    } else {
        None
    };
    Ok(EventFact {
        message: key(received.first_id),
        event_id: event.event_id,
        brand_id: event.brand_id.clone(),
        event_type: event.event_type.clone(),
        at: event.timestamp,
        origin_id: event.origin_id,
        profile_id: event.profile_id,
        purchase,
    })
}

/// The token of a message's effects.
pub(crate) fn key(id: MessageId) -> MessageKey {
    MessageKey {
        major: id.major,
        minor: id.minor,
    }
}

fn sightings(facts: &[EventFact]) -> Vec<UniqueSighting> {
    let sighting = |fact: &EventFact| {
        Some(UniqueSighting {
            brand_id: fact.brand_id.clone(),
            event_type: fact.event_type.clone(),
            epoch_day: fact.at.epoch_day(),
            profile_id: fact.profile_id?,
        })
    };
    facts.iter().filter_map(sighting).collect()
}

/// What is to be published because of what was applied.
fn causes(applied: &Applied, sources: &[&NormalizedEvent], now: UnixMillis) -> Vec<OutboxMessage> {
    let repeated = applied
        .repeated_orders
        .iter()
        .filter_map(|index| sources.get(*index));
    let rejected = repeated.map(|event| {
        let message = duplicate_order(event, now);
        outbox_message::<EventsRejected>(
            format!("order:{}:{}", event.brand_id, event.event_id),
            &message,
        )
    });
    let mut messages: Vec<OutboxMessage> = rejected.collect();
    for (profile_id, brand_id) in &applied.requested {
        let event = sources
            .iter()
            .find(|event| event.profile_id == Some(*profile_id));
        let mut request = prediction_request(*profile_id, brand_id, "purchase", now);
        request.traceparent = event.and_then(|event| event.traceparent.clone());
        messages.push(outboxed_request(&request));
    }
    messages
}

fn duplicate_order(event: &NormalizedEvent, now: UnixMillis) -> RejectedEvent {
    RejectedEvent {
        event_id: event.event_id,
        brand_id: event.brand_id.clone(),
        event_type: event.event_type.clone(),
        payload: JsonText(event.normalized_payload.0.clone()),
        timestamp: event.timestamp.to_string(),
        reason: DUPLICATE_ORDER.to_owned(),
        message: "the order was counted before, with another event".to_owned(),
        rejected_at: now,
        rejected_by: groups::EVENT_PROCESSORS.to_owned(),
        traceparent: event.traceparent.clone(),
        extra: Vec::new(),
    }
}

/// Requests for predictions that are stale, one for each person.
pub(crate) fn stale_requests(
    people: &[(ProfileId, BrandId)],
    now: UnixMillis,
) -> Vec<OutboxMessage> {
    let request = |(profile_id, brand_id): &(ProfileId, BrandId)| {
        outboxed_request(&prediction_request(*profile_id, brand_id, "stale", now))
    };
    people.iter().map(request).collect()
}

fn prediction_request(
    profile_id: ProfileId,
    brand_id: &BrandId,
    cause: &str,
    now: UnixMillis,
) -> PredictionRequest {
    PredictionRequest {
        profile_id,
        brand_id: brand_id.clone(),
        request_type: PredictionKind::All,
        timestamp: now,
        cause: Some(cause.to_owned()),
        traceparent: None,
        extra: Vec::new(),
    }
}

fn outboxed_request(request: &PredictionRequest) -> OutboxMessage {
    let id = format!("prediction:{}:{}", request.profile_id, request.timestamp.0);
    outbox_message::<PredictionRequests>(id, request)
}

fn outbox_message<T: Topic>(id: String, message: &T::Message) -> OutboxMessage {
    OutboxMessage {
        id,
        topic: T::INFO.name.to_owned(),
        fields: RawFields::of(message),
    }
}

#[cfg(test)]
mod tests {
    use common::messages::JsonText;
    use common::{EventId, EventType};

    use super::*;

    fn received(event_type: &str, payload: &str) -> Received<NormalizedEvent> {
        Received {
            id: MessageId { major: 7, minor: 1 },
            first_id: MessageId { major: 5, minor: 2 },
            deliveries: 1,
            repeat: false,
            message: NormalizedEvent {
                event_id: EventId(uuid::Uuid::nil()),
                brand_id: BrandId::new("acme").expect("valid"),
                event_type: EventType::new(event_type).expect("valid"),
                profile_id: None,
                identifiers: JsonText("[]".to_owned()),
                normalized_payload: JsonText(payload.to_owned()),
                timestamp: UnixMillis(0),
                origin_id: None,
                warnings: None,
                client_event_id: None,
                traceparent: None,
                extra: Vec::new(),
            },
        }
    }

    #[test]
    fn only_a_purchase_brings_revenue() {
        let payload = r#"{"amount_minor":2933,"currency":"USD","order_id":"o"}"#;
        let bought = fact(&received("purchase", payload)).expect("normal");
        let expected = Purchase {
            order_id: Some("o".to_owned()),
            currency: "USD".to_owned(),
            amount_minor: 2_933,
        };
        assert_eq!(bought.purchase, Some(expected));
        assert_eq!(
            fact(&received("refund", payload)).expect("normal").purchase,
            None
        );
    }

    #[test]
    fn a_purchase_that_is_not_in_normal_form_is_no_fact() {
        for payload in ["", "{}", r#"{"amount_minor":"1","currency":"USD"}"#, "[]"] {
            assert!(fact(&received("purchase", payload)).is_err(), "{payload}");
        }
        assert!(fact(&received("page_view", "not even json")).is_ok());
    }
}
