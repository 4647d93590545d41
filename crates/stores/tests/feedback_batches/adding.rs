//! Adding items.

use anyhow::Result;

use crate::{Bench, ITEMS_MAX, LONG, agent, item, items, urgent};

on_every_store! {
    items_come_out_as_they_went_in_oldest_first,
    agents_are_apart_whatever_their_names,
    adding_says_how_many_wait,
    nothing_is_added_by_nothing,
}

async fn items_come_out_as_they_went_in_oldest_first(bench: Bench) -> Result<()> {
    let mut given = items("a", 0..20);
    given[3] = urgent("a", 3);
    given[4].document.extra = ["b", "a", "b"]
        .map(|name| (name.to_owned(), "1".to_owned()))
        .into();
    given[5].document.text = None;
    given[5].document.reaction = Some("\u{1f44d}\"\\\0".to_owned());
    given[6].document.user_id = String::new();
    given[7].document.created_at = common::UnixMillis(i64::MIN);
    given[8].origin.attempts = u32::MAX;
    for call in given.chunks(7) {
        bench.add(call).await?;
    }
    let taken = bench.take(&agent("a"), LONG, ITEMS_MAX).await?;
    assert_eq!(taken.items, given);
    assert_eq!(taken.unreadable, [""; 0]);
    assert_eq!((taken.attempts, taken.agent_id), (1, agent("a")));
    Ok(())
}

async fn agents_are_apart_whatever_their_names(bench: Bench) -> Result<()> {
    let names = [
        "a",
        "a:meta",
        "index",
        "{a}",
        "%3A",
        "a b",
        "\u{e9}\"'\\",
        "s",
        ":state",
    ];
    let mixed = (0..5).flat_map(|round| {
        (0..)
            .zip(names)
            .map(move |(at, name)| (round * 10 + at, name))
    });
    let mixed: Vec<_> = mixed.map(|(number, name)| item(name, number)).collect();
    bench.add(&mixed).await?;
    for name in names {
        let taken = bench.take(&agent(name), LONG, ITEMS_MAX).await?;
        let own: Vec<_> = mixed
            .iter()
            .filter(|item| item.document.agent_id == agent(name))
            .cloned()
            .collect();
        assert_eq!(taken.items, own, "{name}");
        assert!(bench.batches.finish(&taken).await?);
    }
    bench.assert_empty().await
}

async fn adding_says_how_many_wait(bench: Bench) -> Result<()> {
    let mixed = [item("b", 1), item("a", 2), item("b", 3)];
    let added = bench.batches.add(&mixed).await?;
    assert_eq!(added.waiting, [(agent("b"), 2), (agent("a"), 1)]);
    let taken = bench.take(&agent("b"), LONG, ITEMS_MAX).await?;
    let added = bench.batches.add(&mixed).await?;
    assert_eq!(
        added.waiting,
        [(agent("b"), 2), (agent("a"), 2)],
        "what is flushed waits no more"
    );
    assert!(bench.batches.finish(&taken).await?);
    let added = bench.batches.add(&mixed[..1]).await?;
    assert_eq!(added.waiting, [(agent("b"), 3)]);
    Ok(())
}

async fn nothing_is_added_by_nothing(bench: Bench) -> Result<()> {
    let added = bench.batches.add(&[]).await?;
    assert_eq!(added, stores::Added::default());
    bench.assert_empty().await
}
