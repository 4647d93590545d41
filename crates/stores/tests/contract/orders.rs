//! An order counts once, whatever the messages and events that tell of it.

use anyhow::Result;
use stores::EventFact;
use tokio::task::JoinSet;

use crate::facts::{BRANDS, brand, fact, purchase};
use crate::model::assert_counted_once;
use crate::{Bench, apply};

on_both_engines! {
    an_order_counts_once_across_batches,
    an_order_counts_once_within_a_batch,
    an_order_that_comes_again_with_its_message_is_a_repeat_and_not_a_repeated_order,
    purchases_without_an_order_all_count,
    two_brands_may_use_the_same_order_id,
    order_ids_that_look_alike_are_different,
    an_order_that_eight_workers_tell_of_at_the_same_time_counts_once,
}

async fn an_order_counts_once_across_batches(bench: Bench) -> Result<()> {
    let first = [purchase(1, Some("A")), purchase(2, Some("B"))];
    bench.apply(&first).await?;
    let second = [
        fact(3),
        purchase(4, Some("B")),
        purchase(5, Some("C")),
        purchase(6, Some("A")),
    ];
    let applied = bench.apply(&second).await?;
    assert_eq!((applied.counted, applied.repeats), (2, 0));
    assert_eq!(applied.repeated_orders, [1, 3]);
    let [one, two] = first;
    let [three, _, five, _] = second;
    assert_counted_once(&bench, &[one, two, three, five]).await
}

async fn an_order_counts_once_within_a_batch(bench: Bench) -> Result<()> {
    let facts = [
        purchase(1, Some("A")),
        purchase(2, Some("B")),
        purchase(3, Some("A")),
        purchase(4, Some("A")),
        purchase(5, None),
    ];
    let applied = bench.apply(&facts).await?;
    assert_eq!((applied.counted, applied.repeated_orders), (3, vec![2, 3]));
    let [one, two, _, _, five] = facts;
    assert_counted_once(&bench, &[one, two, five]).await
}

async fn an_order_that_comes_again_with_its_message_is_a_repeat_and_not_a_repeated_order(
    bench: Bench,
) -> Result<()> {
    let facts = [
        purchase(1, Some("A")),
        purchase(2, Some("A")),
        purchase(3, Some("B")),
    ];
    assert_eq!(bench.apply(&facts).await?.repeated_orders, [1]);
    // The new one has an index of the batch as it was given, repeats included.
    let again = [facts.as_slice(), &[purchase(4, Some("B"))]].concat();
    let applied = bench.apply_again(&again).await?;
    assert_eq!((applied.counted, applied.repeats), (0, 3));
    assert_eq!(applied.repeated_orders, [3]);
    let [one, _, three] = facts;
    assert_counted_once(&bench, &[one, three]).await
}

async fn purchases_without_an_order_all_count(bench: Bench) -> Result<()> {
    let facts: Vec<EventFact> = (0..20).map(|number| purchase(number, None)).collect();
    for batch in facts.chunks(8) {
        let applied = bench.apply(batch).await?;
        assert_eq!(applied.counted, batch.len());
        assert!(applied.repeated_orders.is_empty());
    }
    assert_counted_once(&bench, &facts).await
}

async fn two_brands_may_use_the_same_order_id(bench: Bench) -> Result<()> {
    let of_brand = |name, number| EventFact {
        brand_id: brand(name),
        ..purchase(number, Some("A"))
    };
    let facts = [of_brand(BRANDS[0], 1), of_brand(BRANDS[1], 2)];
    let applied = bench.apply(&facts).await?;
    assert_eq!((applied.counted, applied.repeated_orders.len()), (2, 0));
    let again = [of_brand(BRANDS[0], 3), of_brand(BRANDS[1], 4)];
    assert_eq!(bench.apply(&again).await?.repeated_orders, [0, 1]);
    assert_counted_once(&bench, &facts).await
}

async fn order_ids_that_look_alike_are_different(bench: Bench) -> Result<()> {
    // As numbers some would be equal, and so would they without regard to case or accents.
    let ids = [
        "1", "01", "1.0", "1e0", "a", "A", "á", "a\u{301}", " a", "null", "''", "\\",
    ];
    let facts: Vec<EventFact> = (0..)
        .zip(ids)
        .map(|(number, id)| purchase(number, Some(id)))
        .collect();
    assert_eq!(bench.apply(&facts).await?.counted, ids.len());
    let again: Vec<EventFact> = (100..)
        .zip(ids)
        .map(|(number, id)| purchase(number, Some(id)))
        .collect();
    assert_eq!(bench.apply(&again).await?.repeated_orders.len(), ids.len());
    assert_counted_once(&bench, &facts).await
}

async fn an_order_that_eight_workers_tell_of_at_the_same_time_counts_once(
    bench: Bench,
) -> Result<()> {
    let orders: Vec<String> = (0..40).map(|order| format!("order {order}")).collect();
    let mut workers = JoinSet::new();
    for worker in 0..8 {
        let mut facts: Vec<EventFact> = (worker * 100..)
            .zip(&orders)
            .map(|(number, order)| purchase(number, Some(order)))
            .collect();
        fastrand::Rng::with_seed(worker).shuffle(&mut facts);
        let features = bench.features();
        workers.spawn(async move { apply(&features, &facts, false).await });
    }
    let mut counted = 0;
    for applied in workers.join_all().await {
        let applied = applied?;
        assert_eq!(
            applied.counted + applied.repeated_orders.len(),
            orders.len()
        );
        counted += applied.counted;
    }
    assert_eq!(counted, orders.len());
    // They are all alike, so it does not matter who was first.
    let facts: Vec<EventFact> = (0..40).map(|number| purchase(number, None)).collect();
    assert_counted_once(&bench, &facts).await
}
