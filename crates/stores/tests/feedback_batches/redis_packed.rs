//! Items that are large are packed.

use anyhow::Result;
use stores::{FeedbackBatches as _, FeedbackItem, RedisBatchOptions};
use testkit::servers::redis_database;

use crate::{
    ANY, Bench, DueWhen, ITEMS_MAX, LONG, NEVER, OPTIONS, agent, batches_at, ids, item, items,
    lease, numbers,
};

/// An item with so many bytes of a text that does not compress away.
fn large(number: usize, bytes: usize) -> FeedbackItem {
    let mut item = item("a", number);
    let words = (0..).map(|at| format!("{:x} ", (at * 2_654_435_761_usize) ^ (number * 40_503)));
    let mut text = String::with_capacity(bytes);
    for word in words.take(bytes) {
        if text.len() >= bytes {
            break;
        }
        text.push_str(&word);
    }
    item.document.text = Some(text);
    item
}

fn elements(bench: &Bench) -> Result<u64> {
    Ok(bench.cli(&["LLEN", "feedback:batch:a"])?.parse()?)
}

#[tokio::test]
async fn many_items_of_one_call_become_few_elements_that_say_how_many_they_are() -> Result<()> {
    let Some(bench) = Bench::on_redis()? else {
        return Ok(());
    };
    let all = items("a", 0..2_500);
    let added = bench.batches.add(&all).await?;
    assert_eq!(added.waiting, [(agent("a"), 2_500)]);
    assert_eq!(elements(&bench)?, 3, "1,000 items in one at most");
    let heads = bench.cli(&["EVAL", "local heads = {} for _, e in ipairs(redis.call('LRANGE', KEYS[1], 0, -1)) do heads[#heads+1] = string.match(e, '^zstd:%d+:') end return table.concat(heads, ' ')", "1", "feedback:batch:a"])?;
    assert_eq!(heads, "zstd:500: zstd:1000: zstd:1000:", "newest first");
    let meta = bench.cli(&["GET", "feedback:batch:a:meta"])?;
    assert!(meta.ends_with("\"itemCount\":2500}"), "{meta}");
    let by_items = DueWhen {
        items: 2_500,
        ..NEVER
    };
    assert_eq!(bench.batches.due(&by_items, 1).await?, [agent("a")]);
    let stored: u64 = bench
        .cli(&["MEMORY", "USAGE", "feedback:batch:a"])?
        .parse()?;
    assert!(stored < 2_500 * 50, "{stored} bytes for some 250 an item");
    let taken = bench.take(&agent("a"), LONG, ITEMS_MAX).await?;
    assert_eq!(taken.items, all);
    Ok(())
}

#[tokio::test]
async fn plain_and_packed_items_keep_their_order_and_are_taken_in_parts() -> Result<()> {
    let Some(bench) = Bench::on_redis()? else {
        return Ok(());
    };
    bench.add(&items("a", 0..3)).await?;
    bench.add(&items("a", 3..1_503)).await?;
    bench.add(&items("a", 1_503..1_506)).await?;
    assert_eq!(elements(&bench)?, 3 + 2 + 3);
    // An element is not taken apart: what does not fit waits.
    for (items_max, expected) in [
        (100, 0..3),
        (100, 3..1_003),
        (502, 1_003..1_505),
        (9, 1_505..1_506),
    ] {
        assert_eq!(bench.batches.due(&ANY, 1).await?, [agent("a")]);
        let taken = bench.take(&agent("a"), LONG, items_max).await?;
        assert_eq!(ids(&taken), numbers(expected.clone()));
        let overview = bench.batches.overview(0).await?;
        assert_eq!(overview.total_items, u64::try_from(1_506 - expected.start)?);
        assert!(bench.batches.finish(&taken).await?);
    }
    bench.assert_empty().await
}

#[tokio::test]
async fn one_large_item_is_packed_and_large_packs_are_split() -> Result<()> {
    let Some(bench) = Bench::on_redis()? else {
        return Ok(());
    };
    let mut all = vec![large(0, 70_000)];
    bench.add(&all).await?;
    assert_eq!(elements(&bench)?, 1);
    let start = bench.cli(&[
        "EVAL",
        "return string.sub(redis.call('LINDEX', KEYS[1], 0), 1, 9)",
        "1",
        "feedback:batch:a",
    ])?;
    assert_eq!(start, "zstd:1:70");
    let next: Vec<_> = (1..8).map(|number| large(number, 300_000)).collect();
    bench.add(&next).await?;
    assert_eq!(elements(&bench)?, 1 + 3, "three of them in one MiB");
    all.extend(next);
    let huge = large(8, 3 << 20);
    bench.add(std::slice::from_ref(&huge)).await?;
    all.push(huge);
    let taken = bench.take(&agent("a"), LONG, ITEMS_MAX).await?;
    assert!(taken.items == all && taken.unreadable.is_empty());
    Ok(())
}

#[tokio::test]
async fn a_call_that_is_more_than_one_command_can_carry_arrives_whole() -> Result<()> {
    let Some(bench) = Bench::on_redis()? else {
        return Ok(());
    };
    let mut all: Vec<_> = (0..2_600)
        .map(|number| item(&format!("b{}", number % 13), number))
        .collect();
    all.extend((0..40).map(|number| large(number, 900_000)));
    let added = bench.batches.add(&all).await?;
    assert_eq!(added.waiting.len(), 14);
    assert!(added.waiting.contains(&(agent("a"), 40)));
    let mut taken_ids = Vec::new();
    while taken_ids.len() < 40 {
        let taken = bench.take(&agent("a"), LONG, ITEMS_MAX).await?;
        taken_ids.extend(ids(&taken).into_iter().map(str::to_owned));
        assert!(bench.batches.finish(&taken).await?);
    }
    assert_eq!(taken_ids, numbers(0..40));
    for name in 0..13 {
        let taken = bench
            .take(&agent(&format!("b{name}")), LONG, ITEMS_MAX)
            .await?;
        assert_eq!(ids(&taken), numbers((name..2_600).step_by(13)));
    }
    Ok(())
}

#[tokio::test]
async fn more_elements_than_a_script_can_hold_at_once_arrive_whole() -> Result<()> {
    let Some(database) = redis_database() else {
        return Ok(());
    };
    let options = RedisBatchOptions {
        plain_bytes_max: usize::MAX,
        ..OPTIONS
    };
    let batches = batches_at(database.url(), options)?;
    let mut all = items("a", 0..9_000);
    all.extend((0..9_000).map(|number| item(&format!("b{number}"), number)));
    let added = batches.add(&all).await?;
    assert_eq!(added.refused, []);
    assert_eq!(added.waiting.len(), 9_001);
    assert_eq!(added.waiting[0], (agent("a"), 9_000));
    let overview = batches.overview(0).await?;
    assert_eq!(
        (overview.total_batches, overview.total_items),
        (9_001, 18_000)
    );
    let taken = batches.take(&agent("a"), &lease(LONG, ITEMS_MAX)).await?;
    let taken = taken.expect("a batch");
    assert_eq!(ids(&taken), numbers(0..9_000));
    Ok(())
}

/// An instance must be able to hold what it takes, whatever gathered while documents could not be
/// written.
#[tokio::test]
async fn a_heavy_batch_is_taken_in_parts() -> Result<()> {
    let Some(bench) = Bench::on_redis()? else {
        return Ok(());
    };
    let bytes = |items: &[FeedbackItem]| -> usize {
        let texts = items.iter().map(|item| &item.document.text);
        texts.map(|text| text.as_ref().map_or(0, String::len)).sum()
    };
    let all: Vec<_> = (0..90).map(|number| large(number, 300_000)).collect();
    for some in all.chunks(10) {
        bench.add(some).await?;
    }
    let (mut taken_ids, mut parts) = (Vec::new(), 0);
    while let Some(agent) = bench.batches.due(&ANY, 1).await?.first() {
        let taken = bench.take(agent, LONG, ITEMS_MAX).await?;
        assert!(bytes(&taken.items) <= 16 << 20, "{}", bytes(&taken.items));
        taken_ids.extend(ids(&taken).into_iter().map(str::to_owned));
        assert!(bench.batches.finish(&taken).await?);
        parts += 1;
    }
    assert_eq!((taken_ids, parts), (numbers(0..90), 2));
    bench.assert_empty().await
}
