//! Events on a bus of a test's own.

use std::time::Duration;

use bus::{Bus, MessageId};
use common::messages::RawEvent;
use common::topics::EventsRaw;
use common::{BrandId, EventId, EventType, fields::JsonText};
use testkit::servers::{RedisDatabase, redis_database};
use uuid::Uuid;

use crate::millrace::Millrace;

/// A database of Redis, the bus on it, and the tool that looks at it. `None` after a loud skip.
pub(crate) fn bus() -> Option<(RedisDatabase, Bus, Millrace)> {
    let database = redis_database()?;
    let bus = Bus::on_redis(database.url(), Duration::from_secs(5)).expect("a URL");
    let millrace = Millrace::default().with("REDIS_URL", database.url());
    Some((database, bus, millrace))
}

/// The id of the event of a number.
pub(crate) fn event_id(number: u32) -> EventId {
    EventId(Uuid::from_u128(u128::from(number)))
}

/// Publishes events of these numbers.
pub(crate) async fn publish(bus: &Bus, numbers: std::ops::Range<u32>) -> Vec<MessageId> {
    let event = |number: u32| RawEvent {
        event_id: event_id(number),
        brand_id: BrandId::new("acme").expect("a brand"),
        event_type: EventType::new("page_view").expect("a type"),
        payload: JsonText("{}".to_owned()),
        timestamp: "2026-11-20T12:00:00Z".to_owned(),
        identifiers: None,
        client_event_id: None,
        original_timestamp: None,
        traceparent: None,
        extra: Vec::new(),
    };
    let events: Vec<RawEvent> = numbers.map(event).collect();
    bus.publish::<EventsRaw>(&events).await.expect("published")
}
