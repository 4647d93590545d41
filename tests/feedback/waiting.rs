//! While feedback waits, anybody can see it with `redis-cli`, as the public contract says.

use anyhow::{Context as _, Result};
use serde_json::Value;

use crate::bench::Bench;
use crate::given::{reaction, reply};

in_worlds! {
    redis_sqlite { what_waits_answers_to_redis_cli_and_is_gone_when_it_is_flushed, }
}

async fn what_waits_answers_to_redis_cli_and_is_gone_when_it_is_flushed(
    bench: Bench,
) -> Result<()> {
    let flusher = bench.flusher(&[])?;
    bench.reply(&[reply("123", 1)]).await?;
    bench
        .cli_answers(&["LLEN", "feedback:batch:123"], &["1"])
        .await?;
    bench.react(&[reaction("123", 2, "👍")]).await?;
    bench
        .cli_answers(&["LLEN", "feedback:batch:123"], &["2"])
        .await?;

    assert_eq!(bench.cli(&["SMEMBERS", "feedback:batches:index"])?, ["123"]);
    let items = bench.cli(&["LRANGE", "feedback:batch:123", "0", "-1"])?;
    let items: Vec<Value> = items
        .iter()
        .map(|item| serde_json::from_str(item).with_context(|| item.clone()))
        .collect::<Result<_>>()?;
    // Newest first.
    let text = |number: usize, name: &str| {
        let value = items.get(number).and_then(|item| item.get(name));
        value.and_then(Value::as_str)
    };
    assert_eq!(text(0, "reaction"), Some("👍"));
    assert_eq!(text(1, "text"), Some("reply 1"));
    assert_eq!(text(1, "agentId"), Some("123"));
    assert_eq!(text(1, "createdAt"), Some("2026-01-01T00:00:00.000Z"));

    let meta = bench.cli(&["GET", "feedback:batch:123:meta"])?.concat();
    let meta: Value = serde_json::from_str(&meta).context(meta)?;
    let names: Vec<&String> = meta.as_object().context("no object")?.keys().collect();
    assert_eq!(names, ["createdAt", "itemCount", "lastItemAt"]);
    assert_eq!(meta.get("itemCount").and_then(Value::as_u64), Some(2));
    let time = |name: &str| meta.get(name).and_then(Value::as_str);
    assert!(time("createdAt") <= time("lastItemAt"));
    assert_eq!(flusher.flushes(), 0);

    bench.batches.request_flush(None).await?;
    bench.all_told(2).await?;
    let left = bench.cli(&["KEYS", "feedback:batch*"])?;
    assert!(left.concat().is_empty(), "{left:?}");
    Ok(())
}
