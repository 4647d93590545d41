//! Predictions are asked for after purchases, at most once in a while for each person.

use std::time::Duration;

use anyhow::Result;
use common::event_types::PURCHASE;
use common::{BrandId, ProfileId, UnixMillis};
use stores::{Applied, EventFact, OutboxMessage, PredictionPolicy};
use tokio::task::JoinSet;

use crate::facts::{ACME, brand, event_type, fact, origin, purchase};
use crate::outbox::message;
use crate::{Bench, NOW, POLICY, STAGE};

on_both_engines! {
    predictions_are_asked_for_once_for_a_person_and_interval,
    only_a_purchase_that_counts_asks_for_predictions,
    a_person_of_two_origins_is_asked_for_once,
    requests_are_in_the_outbox_when_they_are_noted,
    eight_workers_ask_for_the_same_people_once,
    stale_requests_are_repeated_oldest_first,
    a_stale_request_that_cannot_be_published_stays_stale,
    workers_that_repeat_stale_requests_at_the_same_time_repeat_each_once,
    new_and_stale_requests_at_the_same_time_do_not_wait_in_a_circle,
}

fn requested(numbers: impl IntoIterator<Item = u128>) -> Vec<(ProfileId, BrandId)> {
    let person = |number| (origin(number), brand(ACME));
    numbers.into_iter().map(person).collect()
}

/// A purchase of a person.
fn bought(number: u64, person: u128) -> EventFact {
    EventFact {
        origin_id: Some(origin(person)),
        profile_id: Some(origin(person)),
        ..purchase(number, None)
    }
}

fn after(millis: i64) -> UnixMillis {
    UnixMillis(NOW.0 + millis)
}

fn causes(applied: &Applied) -> Vec<OutboxMessage> {
    requests(&applied.requested)
}

fn requests(people: &[(ProfileId, BrandId)]) -> Vec<OutboxMessage> {
    people
        .iter()
        .map(|(person, _)| message(&person.to_string()))
        .collect()
}

async fn predictions_are_asked_for_once_for_a_person_and_interval(bench: Bench) -> Result<()> {
    let interval = i64::try_from(POLICY.interval.as_millis())?;
    let none = |_: &Applied| Vec::new();
    let steps = [
        (0, vec![1, 2, 1], vec![1, 2]),
        (1, vec![1, 3], vec![3]),
        (interval - 1, vec![1, 2, 3], vec![]),
        (interval, vec![1, 2, 3], vec![1, 2]),
        (interval + 1, vec![1, 2, 3], vec![3]),
        (2 * interval, vec![1, 3], vec![1]),
        // A clock that goes backwards asks for nobody too often.
        (interval + 2, vec![1, 2, 3, 4], vec![4]),
        // A clock that was far ahead silences nobody once it is right again.
        (10 * interval, vec![1], vec![1]),
        (3 * interval, vec![1], vec![1]),
    ];
    let mut number = 0;
    for (millis, buyers, expected) in steps {
        let mut facts = Vec::new();
        for person in buyers {
            number += 1;
            facts.push(bought(number, person));
        }
        let applied = bench.apply_causing(&facts, after(millis), none).await?;
        let mut found = applied.requested;
        found.sort_unstable();
        assert_eq!(found, requested(expected), "after {millis} ms");
    }
    Ok(())
}

async fn only_a_purchase_that_counts_asks_for_predictions(bench: Bench) -> Result<()> {
    let nobodys = EventFact {
        profile_id: None,
        ..purchase(2, None)
    };
    let named_so = EventFact {
        event_type: event_type(PURCHASE),
        ..fact(3)
    };
    let applied = bench.apply(&[fact(1), nobodys, named_so]).await?;
    assert_eq!((applied.counted, applied.requested), (3, vec![]));

    let ordered = |number, person| EventFact {
        profile_id: Some(origin(person)),
        ..purchase(number, Some("A"))
    };
    let applied = bench.apply(&[ordered(4, 4), ordered(5, 5)]).await?;
    assert_eq!(applied.requested, requested([4]));
    // Neither an order that was counted nor a message that comes again.
    let applied = bench.apply_again(&[ordered(4, 4), ordered(6, 6)]).await?;
    assert_eq!(applied.requested, []);
    Ok(())
}

async fn a_person_of_two_origins_is_asked_for_once(bench: Bench) -> Result<()> {
    let of_origin = |number, whose| EventFact {
        origin_id: Some(origin(whose)),
        ..purchase(number, None)
    };
    let applied = bench.apply(&[of_origin(1, 1), of_origin(2, 2)]).await?;
    assert_eq!(applied.requested, requested([1]));
    assert_eq!(bench.apply(&[of_origin(3, 2)]).await?.requested, []);
    Ok(())
}

async fn requests_are_in_the_outbox_when_they_are_noted(bench: Bench) -> Result<()> {
    let facts = [bought(1, 1), bought(2, 2)];
    bench.apply_causing(&facts, NOW, causes).await?;
    let expected = requests(&requested([1, 2]));
    assert_eq!(bench.outbox().oldest(10).await?, expected);
    let again = bench
        .features()
        .apply(STAGE, &facts, (true, POLICY, after(1 << 50)), causes)
        .await?;
    assert_eq!(again.requested, []);
    assert_eq!(bench.outbox().oldest(10).await?, expected);
    Ok(())
}

async fn eight_workers_ask_for_the_same_people_once(bench: Bench) -> Result<()> {
    let mut workers = JoinSet::new();
    for worker in 0..8 {
        let mut facts: Vec<EventFact> = (worker * 100..)
            .zip(0..30)
            .map(|(number, person)| bought(number, person))
            .collect();
        fastrand::Rng::with_seed(worker).shuffle(&mut facts);
        let features = bench.features();
        workers.spawn(async move {
            let how = (false, POLICY, NOW);
            features.apply(STAGE, &facts, how, causes).await
        });
    }
    let mut found = Vec::new();
    for applied in workers.join_all().await {
        found.extend(applied?.requested);
    }
    found.sort_unstable();
    assert_eq!(found, requested(0..30));
    assert_eq!(bench.outbox().oldest(100).await?.len(), 30);
    Ok(())
}

async fn stale_requests_are_repeated_oldest_first(bench: Bench) -> Result<()> {
    let none = |_: &Applied| Vec::new();
    for (number, person, millis) in [(1, 1, 30), (2, 2, 10), (3, 3, 20), (4, 4, 40)] {
        bench
            .apply_causing(&[bought(number, person)], after(millis), none)
            .await?;
    }
    let features = bench.features();
    let repeat = async |before: i64, count: u32, at: i64| {
        let asked = features
            .request_stale(after(before), (count, after(at)), requests)
            .await?;
        let messages = bench.outbox().oldest(10).await?;
        bench.outbox().remove(&messages).await?;
        let mut people: Vec<String> = messages.into_iter().map(|message| message.id).collect();
        people.sort_unstable();
        assert_eq!(asked, people.len());
        anyhow::Ok(people)
    };
    let ids = |numbers: &[u128]| -> Vec<String> {
        numbers
            .iter()
            .map(|number| origin(*number).to_string())
            .collect()
    };
    assert_eq!(repeat(10, 9, 100).await?, ids(&[]));
    assert_eq!(repeat(40, 2, 100).await?, ids(&[2, 3]));
    assert_eq!(repeat(41, 9, 101).await?, ids(&[1, 4]));
    assert_eq!(repeat(100, 9, 102).await?, ids(&[]));
    assert_eq!(repeat(101, 9, 102).await?, ids(&[2, 3]));

    // The interval begins anew with what was asked for here.
    let interval = i64::try_from(POLICY.interval.as_millis())?;
    let facts = [bought(5, 1), bought(6, 2)];
    let applied = bench
        .apply_causing(&facts, after(101 + interval), none)
        .await?;
    assert_eq!(applied.requested, requested([1]));
    Ok(())
}

async fn a_stale_request_that_cannot_be_published_stays_stale(bench: Bench) -> Result<()> {
    bench.apply(&[bought(1, 1)]).await?;
    let features = bench.features();
    let repeat = async || {
        features
            .request_stale(after(1), (9, after(2)), requests)
            .await
    };
    bench.execute("ALTER TABLE outbox RENAME TO hidden").await?;
    assert!(repeat().await.is_err());
    bench.execute("ALTER TABLE hidden RENAME TO outbox").await?;
    assert_eq!(repeat().await?, 1);
    assert_eq!(bench.outbox().oldest(9).await?, requests(&requested([1])));
    Ok(())
}

async fn workers_that_repeat_stale_requests_at_the_same_time_repeat_each_once(
    bench: Bench,
) -> Result<()> {
    let facts: Vec<EventFact> = (0..).zip(0..200).map(|(n, who)| bought(n, who)).collect();
    bench.apply(&facts).await?;
    let mut workers = JoinSet::new();
    for _ in 0..4 {
        let features = bench.features();
        workers.spawn(async move {
            let mut asked = 0;
            for _ in 0..8 {
                let page = features.request_stale(after(1), (50, after(1)), requests);
                asked += page.await?;
            }
            anyhow::Ok(asked)
        });
    }
    let asked: Result<Vec<usize>> = workers.join_all().await.into_iter().collect();
    assert_eq!(asked?.into_iter().sum::<usize>(), 200);
    assert_eq!(bench.outbox().oldest(1_000).await?.len(), 200);
    Ok(())
}

async fn new_and_stale_requests_at_the_same_time_do_not_wait_in_a_circle(
    bench: Bench,
) -> Result<()> {
    let always = PredictionPolicy {
        interval: Duration::ZERO,
    };
    let mut workers = JoinSet::new();
    for worker in 0..4 {
        let features = bench.features();
        workers.spawn(async move {
            for (round, at) in (0..).zip(1..=15) {
                let first = worker * 100_000 + round * 1_000;
                let facts: Vec<EventFact> = (first..)
                    .zip(0..300)
                    .map(|(number, person)| in_brand_of(worker, bought(number, person)))
                    .collect();
                let how = (false, always, after(at));
                features.apply(STAGE, &facts, how, causes).await?;
                let repeat = features.request_stale(after(at + 1), (200, after(at)), requests);
                repeat.await?;
            }
            anyhow::Ok(())
        });
    }
    let outcomes: Result<Vec<()>> = workers.join_all().await.into_iter().collect();
    outcomes.map(drop)
}

/// A fact that shares no row with those of other workers, but for the person's request.
fn in_brand_of(worker: u64, fact: EventFact) -> EventFact {
    EventFact {
        brand_id: brand(&format!("brand of worker {worker}")),
        origin_id: None,
        ..fact
    }
}
