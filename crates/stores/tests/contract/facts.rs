//! Facts for tests, by number: the number is the message's and the event's.

use common::event_types::{PAGE_VIEW, PURCHASE, WHATSAPP_MESSAGE};
use common::time::DAY_MS;
use common::{BrandId, EventId, EventType, ProfileId, UnixMillis};
use fastrand::Rng;
use stores::{EventFact, MessageKey, Purchase};
use uuid::Uuid;

use crate::NOW;

/// The brand of every fact that does not say otherwise.
pub(crate) const ACME: &str = "acme";
pub(crate) const BRANDS: [&str; 2] = [ACME, "bolt"];
/// Origins of each brand among the random facts.
const ORIGINS: u128 = 6;
const SIGN_UP: &str = "sign_up";

pub(crate) fn brand(name: &str) -> BrandId {
    BrandId::new(name).expect("a valid brand")
}

pub(crate) fn event_type(name: &str) -> EventType {
    EventType::new(name).expect("a valid event type")
}

pub(crate) fn origin(number: u128) -> ProfileId {
    ProfileId(Uuid::from_u128(0xa000_0000 + number))
}

/// A page view, now, of origin 1, who is person 1.
pub(crate) fn fact(number: u64) -> EventFact {
    EventFact {
        message: MessageKey {
            major: 1_000 + number / 7,
            minor: number % 7,
        },
        event_id: EventId(Uuid::from_u128(number.into())),
        brand_id: brand(ACME),
        event_type: event_type(PAGE_VIEW),
        at: NOW,
        origin_id: Some(origin(1)),
        profile_id: Some(origin(1)),
        purchase: None,
    }
}

/// The same as a purchase for ten dollars.
pub(crate) fn purchase(number: u64, order_id: Option<&str>) -> EventFact {
    EventFact {
        event_type: event_type(PURCHASE),
        purchase: Some(price(order_id, "USD", 1_000)),
        ..fact(number)
    }
}

/// The same for so many minor units.
pub(crate) fn purchase_of(number: u64, currency: &str, amount_minor: i64) -> EventFact {
    EventFact {
        purchase: Some(price(None, currency, amount_minor)),
        ..purchase(number, None)
    }
}

fn price(order_id: Option<&str>, currency: &str, amount_minor: i64) -> Purchase {
    Purchase {
        order_id: order_id.map(str::to_owned),
        currency: currency.to_owned(),
        amount_minor,
    }
}

/// Facts of several brands, origins, types, currencies and days, some of the future.
pub(crate) fn random_facts(random: &mut Rng, numbers: std::ops::Range<u64>) -> Vec<EventFact> {
    numbers.map(|number| random_fact(random, number)).collect()
}

fn random_fact(random: &mut Rng, number: u64) -> EventFact {
    let brand_number = random.usize(0..BRANDS.len());
    let types = [PAGE_VIEW, PURCHASE, WHATSAPP_MESSAGE, SIGN_UP];
    let kind = *random.choice(&types).expect("some type");
    let purchase = (kind == PURCHASE).then(|| {
        let currency = *random.choice(&["EUR", "JPY", "USD"]).expect("a currency");
        price(None, currency, random.i64(0..1_000_000))
    });
    let first_origin = if brand_number == 0 { 1_000 } else { 2_000 };
    // One in eight shows nobody.
    let origin_id = (random.u8(0..8) > 0).then(|| origin(first_origin + random.u128(0..ORIGINS)));
    EventFact {
        brand_id: brand(BRANDS.get(brand_number).copied().unwrap_or(ACME)),
        event_type: event_type(kind),
        at: UnixMillis(NOW.0 + random.i64(-40 * DAY_MS..2 * DAY_MS)),
        origin_id,
        profile_id: origin_id,
        purchase,
        ..fact(number)
    }
}
