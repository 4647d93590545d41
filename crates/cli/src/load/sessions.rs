//! What customers do: they look at pages, fill a cart, some buy, some write.

use fastrand::Rng;
use serde_json::{Value, json};

use common::event_types::{PAGE_VIEW, PURCHASE, WHATSAPP_MESSAGE};

use super::people::{People, Person};
use super::popularity::popular;

/// No worker knows this one by name.
const ADD_TO_CART: &str = "add_to_cart";
const PRODUCTS: u64 = 500;
const COLOURS: [&str; 5] = ["black", "blue", "green", "red", "white"];
const THINGS: [&str; 5] = ["cap", "mug", "shirt", "shoes", "socks"];
const MESSAGES: [&str; 4] = [
    "Is this still available?",
    "When will my order arrive?",
    "Thank you!",
    "Do you have it in another size?",
];
/// Chances in a hundred.
const CONVERSATION: u32 = 4;
const KNOWN_FROM_THE_START: u32 = 40;
const FILLS_A_CART: u32 = 30;
const BUYS_THE_CART: u32 = 50;

/// One thing that happened.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Happening {
    pub(super) brand_id: String,
    pub(super) event_type: &'static str,
    pub(super) payload: Value,
}

/// A visit or a conversation.
#[derive(Debug)]
pub(super) struct Session {
    person: Person,
    device: String,
    /// Whether the person has logged in.
    is_known: bool,
    /// What is still to come, last first.
    steps: Vec<Step>,
    cart: Vec<Line>,
}

#[derive(Debug, Clone, Copy)]
enum Step {
    View,
    AddToCart,
    Purchase,
    Message,
}

#[derive(Debug, Clone, Copy)]
struct Line {
    product: u64,
    quantity: u64,
}

impl Session {
    /// Somebody comes.
    pub(super) fn begin(people: People, random: &mut Rng) -> Self {
        let person = people.somebody(random);
        Self {
            person,
            device: person.device(random),
            is_known: chance(random, KNOWN_FROM_THE_START),
            steps: steps(random),
            cart: Vec::new(),
        }
    }

    /// What happens next; `None` when the person has left. `order` names the next order.
    pub(super) fn next(
        &mut self,
        random: &mut Rng,
        order: impl FnOnce() -> String,
    ) -> Option<Happening> {
        let (event_type, payload) = match self.steps.pop()? {
            Step::View => (PAGE_VIEW, self.view(random)),
            Step::AddToCart => (ADD_TO_CART, self.add_to_cart(random)),
            Step::Purchase => (PURCHASE, self.purchase(&order())),
            Step::Message => (WHATSAPP_MESSAGE, self.message(random)),
        };
        Some(Happening {
            brand_id: self.person.brand_id(),
            event_type,
            payload,
        })
    }

    fn view(&self, random: &mut Rng) -> Value {
        let product = popular(random, PRODUCTS);
        let brand = self.person.brand_id();
        self.signed(json!({
            "url": format!("https://{brand}.example.com/products/{}", sku(product)),
            "title": name(product),
        }))
    }

    fn add_to_cart(&mut self, random: &mut Rng) -> Value {
        let line = Line {
            product: popular(random, PRODUCTS),
            quantity: random.u64(1..=3),
        };
        self.cart.push(line);
        let mut payload = line_of(line);
        if let Some(object) = payload.as_object_mut() {
            object.insert("currency".to_owned(), self.person.currency().into());
        }
        self.signed(payload)
    }

    /// Whoever buys says who they are.
    fn purchase(&mut self, order_id: &str) -> Value {
        self.is_known = true;
        let cart = std::mem::take(&mut self.cart);
        let total: u64 = cart
            .iter()
            .map(|line| price_cents(line.product) * line.quantity)
            .sum();
        let lines: Vec<Value> = cart.iter().map(|line| line_of(*line)).collect();
        self.signed(json!({
            "order_id": order_id,
            "total": money(total),
            "currency": self.person.currency(),
            "lines": lines,
            "customer": {"email": self.person.email(), "phone": self.person.phone()},
        }))
    }

    fn message(&self, random: &mut Rng) -> Value {
        let text = random.choice(MESSAGES).unwrap_or_default();
        json!({"from": self.person.phone(), "text": text})
    }

    /// With what tells who it was.
    fn signed(&self, mut payload: Value) -> Value {
        if let Some(object) = payload.as_object_mut() {
            object.insert("anonymous_id".to_owned(), self.device.as_str().into());
            if self.is_known {
                object.insert("user_id".to_owned(), self.person.user_id().into());
            }
        }
        payload
    }
}

/// A session as it will go, last step first.
fn steps(random: &mut Rng) -> Vec<Step> {
    if chance(random, CONVERSATION) {
        return vec![Step::Message; random.usize(1..=5)];
    }
    let mut steps = vec![Step::View; random.usize(1..=8)];
    if chance(random, FILLS_A_CART) {
        for _ in 0..random.usize(1..=3) {
            steps.extend([Step::AddToCart, Step::View]);
        }
        if chance(random, BUYS_THE_CART) {
            steps.push(Step::Purchase);
        }
    }
    steps.reverse();
    steps
}

fn line_of(line: Line) -> Value {
    json!({
        "sku": sku(line.product),
        "name": name(line.product),
        "quantity": line.quantity,
        "price": money(price_cents(line.product)),
    })
}

fn chance(random: &mut Rng, percent: u32) -> bool {
    random.u32(0..100) < percent
}

fn sku(product: u64) -> String {
    format!("sku-{product:03}")
}

fn name(product: u64) -> String {
    let word = |words: &[&'static str], number: u64| {
        let at = usize::try_from(number).unwrap_or(0) % words.len().max(1);
        words.get(at).copied().unwrap_or_default()
    };
    format!("{} {}", word(&COLOURS, product), word(&THINGS, product / 5))
}

/// From 4.99 to 103.99, the same for a product whoever asks.
fn price_cents(product: u64) -> u64 {
    499 + product * 37 % 100 * 100
}

fn money(cents: u64) -> String {
    format!("{}.{:02}", cents / 100, cents % 100)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn happenings(sessions: u32) -> Vec<Happening> {
        let people = People {
            brands: 3,
            people: 1_000,
        };
        let mut random = Rng::with_seed(42);
        let mut all = Vec::new();
        for number in 0..sessions {
            let mut session = Session::begin(people, &mut random);
            while let Some(next) = session.next(&mut random, || format!("order-{number}")) {
                all.push(next);
            }
        }
        all
    }

    #[test]
    fn most_look_some_fill_a_cart_fewer_buy_and_a_few_write() {
        let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
        for happening in happenings(2_000) {
            *counts.entry(happening.event_type).or_default() += 1;
        }
        let order = [PAGE_VIEW, ADD_TO_CART, PURCHASE, WHATSAPP_MESSAGE].map(|name| counts[name]);
        assert!(order.is_sorted_by(|more, fewer| more > fewer), "{counts:?}");
        assert!(order[3] > 100, "{counts:?}");
    }

    #[test]
    fn the_total_of_a_purchase_is_the_sum_of_its_lines_to_the_cent() {
        let cents = |value: &Value| -> u64 {
            let text = value.as_str().expect("a text").replace('.', "");
            text.parse().expect("digits")
        };
        let mut purchases = 0;
        for Happening { payload, .. } in happenings(500) {
            let Some(lines) = payload["lines"].as_array() else {
                continue;
            };
            let sum: u64 = lines
                .iter()
                .map(|line| cents(&line["price"]) * line["quantity"].as_u64().expect("a number"))
                .sum();
            assert!(sum > 0 && sum == cents(&payload["total"]), "{payload}");
            assert!(payload["user_id"].is_string() && payload["customer"]["email"].is_string());
            purchases += 1;
        }
        assert!(purchases > 20, "{purchases} purchases");
    }

    #[test]
    fn every_event_shows_somebody() {
        for Happening { payload, .. } in happenings(100) {
            let found = identity::extract(None, payload.as_object().expect("an object"), None);
            assert!(!found.identifiers.is_empty(), "{payload}");
            assert!(found.warnings.is_empty(), "{payload}: {:?}", found.warnings);
        }
    }
}
