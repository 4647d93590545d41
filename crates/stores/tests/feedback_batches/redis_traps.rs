//! What other programs, people and full servers do to the keys.

use anyhow::Result;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use testkit::servers::{RedisServer, or_skip, redis_cli};

use crate::{
    ANY, Bench, ITEMS_MAX, LONG, NEVER, OPTIONS, agent, batches_at, ids, item, items, lease, urgent,
};

const FORGET: &str = include_str!("../../src/feedback/redis/lua/forget.lua");
const OBJECT: &str = r#"{"feedbackId":"by hand","agentId":"a","kind":"reaction","roomId":"r","messageId":"m","userId":"u","reaction":"like","createdAt":"2026-11-20T12:00:00+01:00"}"#;

#[tokio::test]
async fn an_agent_whose_key_is_something_else_is_refused_and_the_others_are_not() -> Result<()> {
    let Some(bench) = Bench::on_redis()? else {
        return Ok(());
    };
    bench.cli(&["SET", "feedback:batch:b", "mine"])?;
    let mixed = [item("a", 1), urgent("b", 2), item("c", 3), item("b", 4)];
    for round in 1..3 {
        let added = bench.batches.add(&mixed).await?;
        assert_eq!(added.waiting, [(agent("a"), round), (agent("c"), round)]);
        let [refused] = added.refused.as_slice() else {
            panic!("{added:?}")
        };
        assert_eq!(refused.agent_id, agent("b"));
        assert!(refused.why.starts_with("WRONGTYPE"), "{}", refused.why);
    }
    assert_eq!(bench.cli(&["GET", "feedback:batch:b"])?, "mine");
    assert_eq!(bench.cli(&["EXISTS", "feedback:batch:b:meta"])?, "0");
    assert_eq!(bench.cli(&["EXISTS", "feedback:batches:urgent"])?, "0");
    assert_eq!(
        bench.cli(&["SISMEMBER", "feedback:batches:index", "b"])?,
        "0"
    );
    // Nor does one that is indexed keep the others from being found.
    bench.cli(&["SADD", "feedback:batches:index", "b"])?;
    assert_eq!(bench.batches.due(&ANY, 10).await?.len(), 2);
    assert_eq!(bench.batches.overview(10).await?.total_batches, 2);
    let failure = bench
        .batches
        .take(&agent("b"), &lease(LONG, 10))
        .await
        .unwrap_err();
    assert!(!failure.is_unavailable(), "{failure}");
    assert_eq!(bench.cli(&["GET", "feedback:batch:b"])?, "mine");
    Ok(())
}

#[tokio::test]
async fn an_index_that_is_something_else_is_waited_for_and_nothing_is_added() -> Result<()> {
    let Some(bench) = Bench::on_redis()? else {
        return Ok(());
    };
    bench.cli(&["SET", "feedback:batches:index", "mine"])?;
    let failure = bench.batches.add(&items("a", 0..2)).await.unwrap_err();
    assert!(failure.is_unavailable(), "{failure}");
    assert_eq!(bench.cli(&["KEYS", "*"])?, "feedback:batches:index");
    bench.cli(&["DEL", "feedback:batches:index"])?;
    bench.add(&items("a", 0..2)).await
}

#[tokio::test]
async fn a_meta_that_is_something_else_is_written_anew() -> Result<()> {
    let Some(bench) = Bench::on_redis()? else {
        return Ok(());
    };
    let spoil: [&[&str]; 6] = [
        &["RPUSH", "feedback:batch:a:meta", "mine"],
        &["SET", "feedback:batch:a:meta", "mine"],
        &["SET", "feedback:batch:a:meta", "[1]"],
        &[
            "SET",
            "feedback:batch:a:meta",
            r#"{"createdAt":null,"itemCount":{}}"#,
        ],
        &[
            "SET",
            "feedback:batch:a:meta",
            r#"{"createdAt":"\"x","lastItemAt":"","itemCount":1}"#,
        ],
        &[
            "SET",
            "feedback:batch:a:meta",
            r#"{"createdAt":"x","lastItemAt":"","itemCount":-1}"#,
        ],
    ];
    for (count, command) in (1_u64..).zip(spoil) {
        bench.add(&[item("a", 0)]).await?;
        bench.cli(&["DEL", "feedback:batch:a:meta"])?;
        bench.cli(command)?;
        assert_eq!(
            bench.batches.due(&NEVER, 10).await?,
            [agent("a")],
            "nobody knows how old it is"
        );
        assert_eq!(bench.batches.of_agent(&agent("a")).await?[0].items, count);
        let added = bench.batches.add(&[]).await?;
        assert_eq!(added.waiting, []);
    }
    let added = bench.batches.add(&items("a", 1..3)).await?;
    assert_eq!(added.waiting, [(agent("a"), 8)]);
    bench.cli(&["DEL", "feedback:batch:a:meta"])?;
    bench.cli(&["LPUSH", "feedback:batch:a:meta", "mine"])?;
    assert_eq!(bench.drain(3).await?.len(), 8);
    bench.assert_empty().await
}

#[tokio::test]
async fn a_meta_in_another_order_is_understood() -> Result<()> {
    let Some(bench) = Bench::on_redis()? else {
        return Ok(());
    };
    bench.add(&items("a", 0..2)).await?;
    let other = r#"{ "itemCount": 2, "lastItemAt": "2026-01-02T00:00:00Z", "createdAt": "2026-01-01T00:00:00Z" }"#;
    bench.cli(&["SET", "feedback:batch:a:meta", other])?;
    let added = bench.batches.add(&items("a", 2..3)).await?;
    assert_eq!(added.waiting, [(agent("a"), 3)]);
    let batch = &bench.batches.of_agent(&agent("a")).await?[0];
    assert_eq!(batch.created_at.to_string(), "2026-01-01T00:00:00.000Z");
    Ok(())
}

#[tokio::test]
async fn what_other_programs_push_is_flushed_too() -> Result<()> {
    let Some(bench) = Bench::on_redis()? else {
        return Ok(());
    };
    bench.cli(&["LPUSH", "feedback:batch:a", OBJECT])?;
    let batches = bench.batches.of_agent(&agent("a")).await?;
    assert_eq!((batches.len(), batches[0].items), (1, 1));
    let taken = bench.take(&agent("a"), LONG, ITEMS_MAX).await?;
    assert_eq!(ids(&taken), ["by hand"]);
    assert_eq!(
        taken.items[0].document.created_at.to_string(),
        "2026-11-20T11:00:00.000Z"
    );
    assert!(bench.batches.finish(&taken).await?);
    // Beside what comes by the usual way.
    bench.cli(&["LPUSH", "feedback:batch:a", OBJECT])?;
    let added = bench.batches.add(&[item("a", 1)]).await?;
    assert_eq!(added.waiting, [(agent("a"), 2)]);
    bench.cli(&["LPUSH", "feedback:batch:a", OBJECT])?;
    let ids_found = ["by hand", "1", "by hand"];
    assert_eq!(bench.batches.overview(1).await?.total_items, 3);
    assert_eq!(
        ids(&bench.take(&agent("a"), LONG, ITEMS_MAX).await?),
        ids_found
    );
    bench.cli(&["LPUSH", "feedback:batch:c", OBJECT])?;
    assert_eq!(bench.batches.request_flush(Some(&agent("c"))).await?, 1);
    assert_eq!(bench.batches.due(&NEVER, 10).await?, [agent("c")]);
    Ok(())
}

#[tokio::test]
async fn however_much_other_programs_push_it_is_taken_in_parts() -> Result<()> {
    let Some(bench) = Bench::on_redis()? else {
        return Ok(());
    };
    bench.cli(&["LPUSH", "feedback:batch:a", OBJECT, OBJECT, OBJECT])?;
    bench.add(&[item("a", 1)]).await?;
    bench.cli(&["LPUSH", "feedback:batch:a", OBJECT, OBJECT])?;
    for (expected, left) in [(4, 2), (2, 0)] {
        let taken = bench.take(&agent("a"), LONG, 4).await?;
        assert_eq!(ids(&taken).len(), expected);
        let flushed = &bench.batches.of_agent(&agent("a")).await?[0];
        assert_eq!(usize::try_from(flushed.items)?, expected);
        assert!(bench.batches.finish(&taken).await?);
        assert_eq!(bench.batches.overview(0).await?.total_items, left);
    }
    bench.assert_empty().await
}

#[tokio::test]
async fn garbage_comes_out_as_it_is_and_keeps_nothing_back() -> Result<()> {
    let Some(bench) = Bench::on_redis()? else {
        return Ok(());
    };
    let texts = [
        "",
        "not json",
        "{}",
        "[]",
        "base64:YQ==",
        "zstd:",
        "zstd:2:10:abc",
        "zstd:9999:99999999999999999999:x",
        "zstd:1:999999999:x",
        "null",
    ];
    bench.add(&[item("a", 1)]).await?;
    for text in texts {
        bench.cli(&["LPUSH", "feedback:batch:a", text])?;
    }
    let no_text = "redis.call('LPUSH', KEYS[1], '\\255\\254{', 'zstd:1:2:\\0\\1')";
    bench.cli(&["EVAL", no_text, "1", "feedback:batch:a"])?;
    bench.add(&[item("a", 2)]).await?;
    let due = bench.batches.due(&ANY, 10).await?;
    assert_eq!(due, [agent("a")]);
    let mut taken = Vec::new();
    let mut unreadable = Vec::new();
    while let Some(batch) = bench.batches.take(&agent("a"), &lease(LONG, 1_000)).await? {
        taken.extend(
            batch
                .items
                .iter()
                .map(|item| item.document.feedback_id.clone()),
        );
        unreadable.extend(batch.unreadable.clone());
        assert!(bench.batches.finish(&batch).await?);
    }
    assert_eq!(taken, ["1", "2"]);
    let read_back: Vec<Vec<u8>> = unreadable
        .iter()
        .map(|text| match text.strip_prefix("base64:") {
            Some(encoded) => STANDARD.decode(encoded).expect("Base64"),
            None => text.clone().into_bytes(),
        })
        .collect();
    let mut expected: Vec<Vec<u8>> = texts.iter().map(|text| text.as_bytes().to_vec()).collect();
    expected.push(b"\xff\xfe{".to_vec());
    expected.push(b"zstd:1:2:\0\x01".to_vec());
    assert_eq!(read_back, expected);
    bench.assert_empty().await
}

#[tokio::test]
async fn a_bad_item_in_a_packed_element_does_not_spoil_the_others() -> Result<()> {
    let Some(bench) = Bench::on_redis()? else {
        return Ok(());
    };
    let array = format!("[{OBJECT},{{\"x\": 1}},{OBJECT}]");
    let mut element = format!("zstd:3:{}:", array.len()).into_bytes();
    element.extend(zstd::bulk::compress(array.as_bytes(), 3)?);
    let decimal: Vec<String> = element.iter().map(u8::to_string).collect();
    let decimal = decimal.join(",");
    let script = format!("return redis.call('LPUSH', KEYS[1], string.char({decimal}))");
    bench.cli(&["EVAL", &script, "1", "feedback:batch:a"])?;
    let taken = bench.take(&agent("a"), LONG, 10).await?;
    assert_eq!(
        (ids(&taken).len(), taken.unreadable.as_slice()),
        (2, &["{\"x\": 1}".to_owned()][..])
    );
    Ok(())
}

#[tokio::test]
async fn entries_of_batches_that_are_gone_are_removed() -> Result<()> {
    let Some(bench) = Bench::on_redis()? else {
        return Ok(());
    };
    bench
        .add(&[urgent("a", 1), urgent("b", 1), urgent("c", 1)])
        .await?;
    bench.batches.request_flush(None).await?;
    bench.cli(&["DEL", "feedback:batch:a", "feedback:batch:c"])?;
    assert_eq!(bench.batches.due(&NEVER, 10).await?, [agent("b")]);
    assert_eq!(bench.cli(&["SMEMBERS", "feedback:batches:index"])?, "b");
    bench.cli(&["DEL", "feedback:batch:b"])?;
    assert!(!bench.is_takeable(&agent("b")).await?);
    bench.assert_empty().await?;
    // A list that begins anew has the age and the items that it has.
    bench.add(&items("a", 0..5)).await?;
    bench.cli(&["DEL", "feedback:batch:a"])?;
    let added = bench.batches.add(&items("a", 5..7)).await?;
    assert_eq!(added.waiting, [(agent("a"), 2)]);
    // A flush whose items somebody deleted is no reason to wait.
    let taken = bench.take(&agent("a"), LONG, 10).await?;
    bench.batches.release(&taken, crate::SHORT).await?;
    bench.cli(&["DEL", "feedback:flush:a"])?;
    bench.add(&items("a", 7..8)).await?;
    let next = bench.take_eventually(&agent("a")).await?;
    assert_eq!((ids(&next), next.attempts), (vec!["7"], 1));
    assert!(bench.batches.finish(&next).await?);
    bench.assert_empty().await
}

/// Between the look and the removal somebody may have added again.
#[tokio::test]
async fn the_entry_of_a_batch_that_came_back_is_kept() -> Result<()> {
    let Some(bench) = Bench::on_redis()? else {
        return Ok(());
    };
    bench.add(&[urgent("a", 1)]).await?;
    let keys = [
        "feedback:batches:index",
        "feedback:batches:urgent",
        "feedback:batches:requested",
        "feedback:batch:a",
        "feedback:batch:a:meta",
    ];
    let mut command = vec!["EVAL", FORGET, "5"];
    command.extend(keys);
    command.push("a");
    bench.cli(&command)?;
    assert_eq!(bench.batches.due(&ANY, 10).await?, [agent("a")]);
    let batch = &bench.batches.of_agent(&agent("a")).await?[0];
    assert!(batch.urgent && batch.items == 1);
    assert_eq!(bench.cli(&["EXISTS", "feedback:batch:a:meta"])?, "1");
    Ok(())
}

#[tokio::test]
async fn scripts_that_the_server_forgot_are_loaded_again() -> Result<()> {
    let Some(redis) = or_skip("redis-server", RedisServer::start()) else {
        return Ok(());
    };
    for options in [
        OPTIONS,
        stores::RedisBatchOptions {
            plain_bytes_max: 1,
            ..OPTIONS
        },
    ] {
        let batches = batches_at(redis.url(), options)?;
        let bench = Bench {
            batches: std::sync::Arc::new(batches),
            database: None,
            mongo: None,
        };
        bench.add(&items("a", 0..2)).await?;
        redis_cli(redis.url(), &["SCRIPT", "FLUSH"])?;
        bench.add(&items("a", 2..3)).await?;
        redis_cli(redis.url(), &["SCRIPT", "FLUSH"])?;
        assert_eq!(bench.drain(ITEMS_MAX).await?.len(), 3);
    }
    Ok(())
}

#[tokio::test]
async fn a_full_server_takes_nothing_more_and_can_be_emptied() -> Result<()> {
    let Some(redis) = or_skip("redis-server", RedisServer::start()) else {
        return Ok(());
    };
    let batches = batches_at(redis.url(), OPTIONS)?;
    let bench = Bench {
        batches: std::sync::Arc::new(batches),
        database: None,
        mongo: None,
    };
    bench.add(&items("a", 0..50)).await?;
    bench.add(&items("b", 0..50)).await?;
    redis_cli(redis.url(), &["CONFIG", "SET", "maxmemory", "1"])?;
    for _ in 0..2 {
        let failure = bench.batches.add(&items("c", 0..2)).await.unwrap_err();
        assert!(failure.is_unavailable(), "{failure}");
    }
    let part = bench.take(&agent("a"), LONG, 20).await?;
    assert_eq!(ids(&part).len(), 20);
    assert!(bench.batches.renew(&part, &lease(LONG, 1)).await?);
    bench.batches.release(&part, crate::SHORT).await?;
    let again = bench.take_eventually(&agent("a")).await?;
    assert!(bench.batches.finish(&again).await?);
    for name in ["a", "b"] {
        let rest = bench.take(&agent(name), LONG, ITEMS_MAX).await?;
        assert!(bench.batches.finish(&rest).await?);
    }
    assert_eq!(redis_cli(redis.url(), &["DBSIZE"])?, "0");
    Ok(())
}
