//! The keys that other programs and people read.

use anyhow::Result;
use common::UnixMillis;

use crate::{Bench, ITEMS_MAX, LONG, agent, item, items, urgent};

#[tokio::test]
async fn a_batch_is_where_and_what_the_contract_says() -> Result<()> {
    let Some(bench) = Bench::on_redis()? else {
        return Ok(());
    };
    bench.add(&items("123", 0..2)).await?;
    let newest_first = bench.cli(&["LRANGE", "feedback:batch:123", "0", "-1"])?;
    let object = |number: usize| {
        format!(
            r#"{{"feedbackId":"{number}","agentId":"123","kind":"reply","roomId":"room","messageId":"m-{number}","userId":"ann","text":"well \"done\"\n👍","rating":"5","createdAt":"2026-11-20T12:00:00.123Z","extra":{{"language":"en"}},"origin":{{"stream":"in","id":"{number}-0","attempts":1}}}}"#
        )
    };
    assert_eq!(newest_first, [object(1), object(0)].join("\n"));
    assert_eq!(bench.cli(&["SMEMBERS", "feedback:batches:index"])?, "123");
    assert_eq!(bench.cli(&["TYPE", "feedback:batch:123:meta"])?, "string");
    let keys = bench.cli(&["KEYS", "*"])?;
    let mut keys: Vec<&str> = keys.lines().collect();
    keys.sort_unstable();
    let expected = [
        "feedback:batch:123",
        "feedback:batch:123:meta",
        "feedback:batches:index",
    ];
    assert_eq!(keys, expected, "nothing else while nothing else is needed");
    for key in expected {
        assert_eq!(bench.cli(&["TTL", key])?, "-1");
    }
    Ok(())
}

#[tokio::test]
async fn the_meta_of_a_batch_has_exactly_its_three_fields_and_counts() -> Result<()> {
    let Some(bench) = Bench::on_redis()? else {
        return Ok(());
    };
    let read = || -> Result<(UnixMillis, UnixMillis, u64)> {
        let text = bench.cli(&["GET", "feedback:batch:a:meta"])?;
        let meta: serde_json::Value = serde_json::from_str(&text)?;
        let fields: Vec<_> = meta.as_object().expect("an object").keys().collect();
        assert_eq!(fields, ["createdAt", "itemCount", "lastItemAt"]);
        let time = |name: &str| meta[name].as_str().expect("a text").parse();
        let count = meta["itemCount"].as_u64().expect("a number");
        Ok((time("createdAt")?, time("lastItemAt")?, count))
    };
    bench.add(&items("a", 0..2)).await?;
    let (created, last, count) = read()?;
    assert_eq!((created, count), (last, 2));
    let text = bench.cli(&["GET", "feedback:batch:a:meta"])?;
    assert_eq!(
        text,
        format!(r#"{{"createdAt":"{created}","lastItemAt":"{last}","itemCount":2}}"#)
    );
    while read()?.1 == last {
        bench.add(&[item("a", 2)]).await?;
    }
    let (still_created, later, more) = read()?;
    assert!(still_created == created && later > last && more > 2);
    assert_eq!(more.to_string(), bench.cli(&["LLEN", "feedback:batch:a"])?);
    Ok(())
}

#[tokio::test]
async fn a_flush_is_where_the_keys_say_and_leaves_nothing() -> Result<()> {
    let Some(bench) = Bench::on_redis()? else {
        return Ok(());
    };
    bench.add(&[item("a", 0), urgent("a", 1)]).await?;
    assert_eq!(bench.cli(&["SMEMBERS", "feedback:batches:urgent"])?, "a");
    bench.batches.request_flush(Some(&agent("a"))).await?;
    assert_eq!(bench.cli(&["SMEMBERS", "feedback:batches:requested"])?, "a");
    let taken = bench.take(&agent("a"), LONG, ITEMS_MAX).await?;
    let keys = bench.cli(&["KEYS", "*"])?;
    let mut keys: Vec<&str> = keys.lines().collect();
    keys.sort_unstable();
    assert_eq!(
        keys,
        [
            "feedback:flush:a",
            "feedback:flush:a:state",
            "feedback:flushes"
        ]
    );
    assert_eq!(bench.cli(&["LLEN", "feedback:flush:a"])?, "2");
    let holder = bench.cli(&["HGET", "feedback:flush:a:state", "token"])?;
    assert_eq!(holder, taken.token);
    assert!(bench.batches.finish(&taken).await?);
    bench.assert_empty().await
}
