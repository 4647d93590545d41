//! The messages of the benches: purchases and page views of about 300 bytes in the stream.

use common::messages::{JsonText, RawEvent};
use common::{BrandId, EventId, EventType};
use uuid::Uuid;

const PEOPLE: u32 = 5_000;

/// So many different events.
pub(crate) fn events(count: u32) -> Vec<RawEvent> {
    (0..count).map(event).collect()
}

fn event(number: u32) -> RawEvent {
    let text = |text: &str| text.to_owned();
    RawEvent {
        event_id: EventId(Uuid::new_v4()),
        brand_id: BrandId::new(text("shop")).unwrap_or_else(|_| unreachable!("a valid brand")),
        event_type: EventType::new(text("purchase"))
            .unwrap_or_else(|_| unreachable!("a valid type")),
        payload: JsonText(payload(number)),
        timestamp: text("2026-11-20T12:00:00.000Z"),
        identifiers: None,
        client_event_id: None,
        original_timestamp: None,
        traceparent: None,
        extra: Vec::new(),
    }
}

fn payload(number: u32) -> String {
    let person = number.wrapping_mul(7919) % PEOPLE;
    let (dollars, cents) = (number % 200, number % 100);
    format!(
        "{{\"order_id\":\"o-{number}\",\"user_id\":\"u-{person}\",\
         \"email\":\"user{person}@example.com\",\"total\":\"{dollars}.{cents:02}\",\
         \"currency\":\"USD\",\"items\":[{{\"sku\":\"a-{person}\",\"quantity\":1}}]}}"
    )
}

/// The event as it is posted.
pub(crate) fn json(event: &RawEvent) -> String {
    format!(
        "{{\"event_id\":\"{}\",\"brand_id\":\"{}\",\"event_type\":\"{}\",\"timestamp\":\"{}\",\
         \"payload\":{}}}",
        event.event_id, event.brand_id, event.event_type, event.timestamp, event.payload.0
    )
}
