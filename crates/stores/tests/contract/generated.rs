//! Any facts, cut into any batches and delivered again in any way, give the sums of the facts.

use std::collections::HashSet;

use anyhow::Result;
use common::UnixMillis;
use common::time::HOUR_MS;
use proptest::collection::vec;
use proptest::prelude::*;
use stores::{EventFact, Purchase};

use crate::facts::{BRANDS, brand, fact, origin, purchase};
use crate::model::assert_counted_once;
use crate::{Bench, NOW};

/// The first message of a delivery and how many there are.
type Delivery = (usize, usize);

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 24,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn any_deliveries_of_any_facts_give_the_sums_of_the_facts(
        facts in vec(any_fact(), 1..80),
        batch_length in 1_usize..30,
        redeliveries in vec((0_usize..80, 1_usize..40), 0..8),
    ) {
        let facts: Vec<EventFact> = (0..).zip(facts).map(|(number, given)| numbered(number, given)).collect();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let outcome = runtime.block_on(deliver(&facts, batch_length, &redeliveries));
        outcome.map_err(|error| TestCaseError::fail(format!("{error:#}")))?;
    }
}

async fn deliver(
    facts: &[EventFact],
    batch_length: usize,
    redeliveries: &[Delivery],
) -> Result<()> {
    let bench = Bench::on_sqlite()?.migrated().await?;
    let mut model = Model::default();
    // Redeliveries come between the batches, and may be early: then the batch is the redelivery.
    let mut redeliveries = redeliveries.iter();
    for batch in facts.chunks(batch_length) {
        model.deliver(&bench, batch, false).await?;
        if let Some((first, count)) = redeliveries.next() {
            let first = (*first).min(facts.len());
            let end = (first + count).min(facts.len());
            model.deliver(&bench, &facts[first..end], true).await?;
        }
    }
    model.deliver(&bench, facts, true).await?;
    assert_counted_once(&bench, &model.counted).await
}

/// What was delivered, as sets and a list.
#[derive(Default)]
struct Model {
    messages: HashSet<stores::MessageKey>,
    orders: HashSet<(String, String)>,
    counted: Vec<EventFact>,
}

impl Model {
    async fn deliver(
        &mut self,
        bench: &Bench,
        batch: &[EventFact],
        repeats_possible: bool,
    ) -> Result<()> {
        let (mut repeats, mut repeated_orders) = (0, Vec::new());
        let counted_before = self.counted.len();
        for (index, fact) in batch.iter().enumerate() {
            if !self.messages.insert(fact.message) {
                repeats += 1;
            } else if !self.is_new_order(fact) {
                repeated_orders.push(index);
            } else {
                self.counted.push(fact.clone());
            }
        }
        let applied = crate::apply(&bench.features(), batch, repeats_possible).await?;
        assert_eq!(
            (applied.counted, applied.repeats, applied.repeated_orders),
            (
                self.counted.len() - counted_before,
                repeats,
                repeated_orders
            )
        );
        Ok(())
    }

    fn is_new_order(&mut self, fact: &EventFact) -> bool {
        let order = fact
            .purchase
            .as_ref()
            .and_then(|purchase| purchase.order_id.clone());
        order.is_none_or(|order| self.orders.insert((fact.brand_id.to_string(), order)))
    }
}

/// Brand, origin, hours from now, and the purchase: order, currency and amount.
type Given = (usize, Option<u128>, i64, Option<(Option<u8>, usize, i64)>);

fn any_fact() -> impl Strategy<Value = Given> {
    let bought = (
        proptest::option::of(0_u8..12),
        0_usize..3,
        0_i64..10_000_000_000,
    );
    (
        0..BRANDS.len(),
        proptest::option::weighted(0.9, 0_u128..4),
        -1_000_i64..30,
        proptest::option::of(bought),
    )
}

fn numbered(number: u64, (brand_number, whose, hours, bought): Given) -> EventFact {
    // An origin is of one brand.
    let whose = whose.map(|whose| origin(whose + if brand_number == 0 { 0 } else { 100 }));
    let base = if bought.is_some() {
        purchase(number, None)
    } else {
        fact(number)
    };
    EventFact {
        brand_id: brand(BRANDS[brand_number]),
        origin_id: whose,
        profile_id: whose,
        at: UnixMillis(NOW.0 + hours * HOUR_MS),
        purchase: bought.map(|(order, currency, amount_minor)| Purchase {
            order_id: order.map(|order| format!("order {order}")),
            currency: ["EUR", "JPY", "USD"][currency].to_owned(),
            amount_minor,
        }),
        ..base
    }
}
