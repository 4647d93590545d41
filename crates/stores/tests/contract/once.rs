//! A message that comes again changes nothing, however it comes.

use anyhow::Result;
use common::UnixMillis;
use stores::{EventFact, MessageKey};

use crate::facts::{fact, purchase, random_facts};
use crate::model::assert_counted_once;
use crate::{Bench, NOW, POLICY};

on_both_engines! {
    a_batch_that_comes_again_changes_nothing,
    a_part_of_a_batch_that_comes_again_changes_nothing,
    new_messages_among_old_ones_count,
    batches_that_are_cut_otherwise_the_second_time_change_nothing,
    messages_that_come_again_in_any_order_change_nothing,
    a_message_that_is_twice_in_a_batch_counts_once,
    a_late_message_with_a_low_id_counts,
    an_id_of_weeks_ago_among_those_of_now_is_recognised,
    stages_remember_messages_apart,
    an_empty_batch_changes_nothing,
}

/// In minutes.
const MONTH: u64 = 30 * 24 * 60;

fn some_facts() -> Vec<EventFact> {
    random_facts(&mut fastrand::Rng::with_seed(7), 0..120)
}

async fn a_batch_that_comes_again_changes_nothing(bench: Bench) -> Result<()> {
    let facts = some_facts();
    let applied = bench.apply(&facts).await?;
    assert_eq!((applied.counted, applied.repeats), (120, 0));
    assert_counted_once(&bench, &facts).await?;
    for _ in 0..3 {
        let applied = bench.apply_again(&facts).await?;
        assert_eq!((applied.counted, applied.repeats), (0, 120));
        assert!(applied.requested.is_empty() && applied.repeated_orders.is_empty());
    }
    assert_counted_once(&bench, &facts).await
}

async fn a_part_of_a_batch_that_comes_again_changes_nothing(bench: Bench) -> Result<()> {
    let facts = some_facts();
    bench.apply(&facts).await?;
    for part in [&facts[..1], &facts[40..90], &facts[119..]] {
        let applied = bench.apply_again(part).await?;
        assert_eq!((applied.counted, applied.repeats), (0, part.len()));
    }
    assert_counted_once(&bench, &facts).await
}

async fn new_messages_among_old_ones_count(bench: Bench) -> Result<()> {
    let facts = some_facts();
    // Every third message: the ids have holes that the others fill.
    let first: Vec<EventFact> = facts.iter().step_by(3).cloned().collect();
    bench.apply(&first).await?;
    assert_counted_once(&bench, &first).await?;
    let applied = bench.apply_again(&facts).await?;
    assert_eq!((applied.counted, applied.repeats), (80, 40));
    assert_counted_once(&bench, &facts).await
}

async fn batches_that_are_cut_otherwise_the_second_time_change_nothing(bench: Bench) -> Result<()> {
    let facts = some_facts();
    for batch in facts.chunks(13) {
        assert_eq!(bench.apply(batch).await?.counted, batch.len());
    }
    for length in [7, 50, 1_000] {
        for batch in facts.chunks(length) {
            assert_eq!(bench.apply_again(batch).await?.repeats, batch.len());
        }
    }
    assert_counted_once(&bench, &facts).await
}

async fn messages_that_come_again_in_any_order_change_nothing(bench: Bench) -> Result<()> {
    let mut random = fastrand::Rng::with_seed(8);
    let facts = some_facts();
    let mut shuffled = facts.clone();
    random.shuffle(&mut shuffled);
    for batch in shuffled.chunks(17) {
        assert_eq!(bench.apply(batch).await?.counted, batch.len());
    }
    assert_counted_once(&bench, &facts).await?;
    random.shuffle(&mut shuffled);
    for batch in shuffled.chunks(11) {
        assert_eq!(bench.apply_again(batch).await?.counted, 0);
    }
    assert_counted_once(&bench, &facts).await
}

async fn a_message_that_is_twice_in_a_batch_counts_once(bench: Bench) -> Result<()> {
    let facts = [fact(1), fact(2), fact(1)];
    let applied = bench.apply(&facts).await?;
    assert_eq!((applied.counted, applied.repeats), (2, 1));
    assert_counted_once(&bench, &facts[..2]).await?;
    let applied = bench.apply_again(&[fact(3), fact(2), fact(3)]).await?;
    assert_eq!((applied.counted, applied.repeats), (1, 2));
    assert_counted_once(&bench, &[fact(1), fact(2), fact(3)]).await
}

async fn a_late_message_with_a_low_id_counts(bench: Bench) -> Result<()> {
    bench.apply(&[fact(70), fact(90)]).await?;
    assert_eq!(bench.apply(&[fact(80)]).await?.counted, 1);
    assert_eq!(bench.apply(&[fact(0)]).await?.counted, 1);
    let all = [fact(0), fact(70), fact(80), fact(90)];
    assert_eq!(bench.apply_again(&all).await?.repeats, 4);
    assert_counted_once(&bench, &all).await
}

async fn an_id_of_weeks_ago_among_those_of_now_is_recognised(bench: Bench) -> Result<()> {
    let now = u64::try_from(NOW.0)?;
    let at = |number: u64, minutes_ago: u64| EventFact {
        message: MessageKey {
            major: now - minutes_ago * 60_000,
            minor: number,
        },
        ..fact(number)
    };
    let before = [at(1, MONTH), at(2, MONTH - 9), at(3, MONTH / 2), at(4, 0)];
    // One batch: what came weeks apart was delivered together.
    assert_eq!(bench.apply(&before).await?.counted, 4);
    for known in &before {
        let batch = [at(5, 0), known.clone(), at(6, MONTH), at(7, MONTH - 60)];
        let fresh: Vec<EventFact> = batch
            .iter()
            .filter(|fact| *fact != known)
            .cloned()
            .collect();
        let applied = bench.apply_again(&batch).await?;
        let first_time = known == &before[0];
        let expected = if first_time { (3, 1) } else { (0, 4) };
        assert_eq!((applied.counted, applied.repeats), expected);
        assert_counted_once(&bench, &[&before[..], &fresh].concat()).await?;
    }
    Ok(())
}

async fn stages_remember_messages_apart(bench: Bench) -> Result<()> {
    let facts = [fact(1), purchase(2, Some("order"))];
    bench.apply(&facts).await?;
    let other = bench
        .features()
        .apply("replay", &facts[..1], (true, POLICY, NOW), |_| Vec::new())
        .await?;
    assert_eq!((other.counted, other.repeats), (1, 0));
    assert_eq!(bench.apply_again(&facts).await?.repeats, 2);
    Ok(())
}

async fn an_empty_batch_changes_nothing(bench: Bench) -> Result<()> {
    assert_eq!(bench.apply(&[]).await?, stores::Applied::default());
    assert_eq!(bench.apply_again(&[]).await?, stores::Applied::default());
    let nothing = bench
        .features()
        .request_stale(NOW, (10, NOW), |_| Vec::new())
        .await?;
    assert_eq!(nothing, 0);
    let forgotten = bench
        .features()
        .prune_ledger(crate::STAGE, u64::MAX, UnixMillis(i64::MAX))
        .await?;
    assert_eq!(forgotten, 0);
    assert_counted_once(&bench, &[]).await
}
