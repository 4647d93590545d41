//! Streams, their messages, and what is pending.

use anyhow::{Context as _, Result};
use common::RawFields;
use serde_json::{Value, json};

use crate::bench::{Bench, TOPIC, at, code_of, verdict};

#[tokio::test]
async fn a_stream_is_browsed_page_by_page() -> Result<()> {
    let Some(bench) = Bench::start(&[])? else {
        return Ok(());
    };
    let ids: Vec<String> = bench
        .publish(25)
        .await?
        .iter()
        .map(ToString::to_string)
        .collect();
    let mut seen = Vec::new();
    let mut path = format!("/api/streams/{}", TOPIC.name);
    let mut sizes = Vec::new();
    loop {
        let page = bench.json(&path)?;
        assert_eq!(at(&page, "/name"), TOPIC.name);
        let messages = at(&page, "/messages").as_array().context("no messages")?;
        sizes.push(messages.len());
        seen.extend(messages.iter().cloned());
        let Some(next) = at(&page, "/nextId").as_str() else {
            break;
        };
        path = format!("/api/streams/{}?startId={next}&count=10", TOPIC.name);
    }
    assert_eq!(sizes, [10, 10, 5], "ten when nobody says how many");
    let expected = ids.iter().enumerate().map(|(number, id)| {
        json!({ "id": id, "fields": { "number": number.to_string() }, "lossy": false })
    });
    assert_eq!(seen, expected.collect::<Vec<Value>>());

    let all = bench.json(&format!(
        "/api/streams/{}?startId=0&count=1000000",
        TOPIC.name
    ))?;
    assert_eq!(at(&all, "/messages").as_array().map(Vec::len), Some(25));
    assert_eq!(at(&all, "/nextId"), &Value::Null);
    Ok(())
}

#[tokio::test]
async fn an_answer_is_bounded_however_many_and_large_the_messages_are() -> Result<()> {
    let Some(bench) = Bench::start(&[])? else {
        return Ok(());
    };
    bench.publish(101).await?;
    let path = |start: &str| format!("/api/streams/{}?startId={start}&count=1000", TOPIC.name);
    let page = bench.json(&path("0"))?;
    assert_eq!(at(&page, "/messages").as_array().map(Vec::len), Some(100));
    let next = at(&page, "/nextId")
        .as_str()
        .context("no next page")?
        .to_owned();

    let large = RawFields(vec![(b"text".to_vec(), vec![b'x'; 500_000])]);
    bench.publish_fields(&vec![large; 60]).await?;
    let page = bench.get(&path(&next))?;
    assert!(page.body.len() < 15_000_000, "{} bytes", page.body.len());
    let page: Value = serde_json::from_str(&page.body)?;
    assert!(at(&page, "/nextId").is_string());
    Ok(())
}

#[tokio::test]
async fn fields_that_are_no_text_are_shown_as_far_as_they_go() -> Result<()> {
    let Some(bench) = Bench::start(&[])? else {
        return Ok(());
    };
    let stream = TOPIC.dead_letters();
    let add = "return redis.call('XADD', KEYS[1], '*', 'a', '\\255', 'b', '1', 'b', '2')";
    bench.cli(&["EVAL", add, "1", &stream])?;
    let page = bench.json(&format!("/api/streams/{stream}"))?;
    assert_eq!(at(&page, "/messages/0/lossy"), true);
    assert_eq!(
        at(&page, "/messages/0/fields"),
        &json!({ "a": "\u{fffd}", "b": "2" })
    );
    // The same in a letter that no program of ours wrote.
    let letters = bench.json(&format!("/api/dead-letters?topic={}", TOPIC.name))?;
    assert_eq!(at(&letters, "/letters/0/lossy"), true);
    assert_eq!(at(&letters, "/letters/0/reason"), "");
    Ok(())
}

#[tokio::test]
async fn a_pending_message_is_shown_with_its_holder_or_its_failure() -> Result<()> {
    let Some(bench) = Bench::start(&[("RETRY_BASE_MS", "60000")])? else {
        return Ok(());
    };
    let ids = bench.publish(3).await?;
    bench
        .settle(3, |settlement, number, id| match number {
            0 => settlement.done.push(id),
            1 => settlement.retry.push(verdict(id, "timeout")),
            _ => {}
        })
        .await?;
    let path = format!("/api/streams/{}/pending", TOPIC.name);
    let page = bench.json(&format!("{path}?group=normalizers&count=1"))?;
    let [_, waiting, held] = <[_; 3]>::try_from(ids).ok().context("three ids")?;
    assert_eq!(at(&page, "/group"), "normalizers");
    assert_eq!(at(&page, "/nextAfter"), &waiting.to_string());
    let mut first = at(&page, "/pending/0").clone();
    let failed_at = first
        .as_object_mut()
        .and_then(|first| first.remove("first_failed_at"));
    assert!(failed_at.is_some_and(|time| time.as_str().is_some_and(|time| time.ends_with('Z'))));
    let idle = first
        .as_object_mut()
        .and_then(|first| first.remove("idle_ms"));
    assert!(idle.is_some_and(|idle| idle.is_u64()));
    let expected = json!({
        "id": waiting.to_string(), "consumer": null, "retrying": true, "deliveries": 1,
        "last_failure": "timeout: it was timeout",
    });
    assert_eq!(first, expected);

    let rest = bench.json(&format!("{path}?after={waiting}"))?;
    assert_eq!(at(&rest, "/nextAfter"), &Value::Null);
    assert_eq!(at(&rest, "/pending/0/id"), &held.to_string());
    assert_eq!(at(&rest, "/pending/0/consumer"), "test-reader");
    assert_eq!(at(&rest, "/pending/0/retrying"), false);
    assert_eq!(at(&rest, "/pending/1"), &Value::Null);
    Ok(())
}

#[tokio::test]
async fn streams_info_counts_messages_and_letters() -> Result<()> {
    let Some(bench) = Bench::start(&[])? else {
        return Ok(());
    };
    let letters = bench
        .give_up(&["hopeless", "hopeless", "undecodable"])
        .await?;
    let path = format!("/api/dead-letters/{}", TOPIC.name);
    let [first, second, _] = <[String; 3]>::try_from(letters)
        .ok()
        .context("three letters")?;
    bench.post(&format!("{path}/redrive"), &json!({ "ids": [first] }))?;
    bench.post(&format!("{path}/discard"), &json!({ "ids": [second] }))?;
    let info = bench.json("/api/streams/info")?;
    let streams = at(&info, "/streams").as_array().context("no streams")?;
    assert_eq!(streams.len(), common::topics::ALL.len());
    let stream = streams
        .iter()
        .find(|stream| at(stream, "/name") == TOPIC.name);
    let mut stream = stream.context("no such stream")?.clone();
    for age in ["oldest_undelivered_seconds", "oldest_pending_seconds"] {
        let group = stream
            .pointer_mut("/groups/0")
            .and_then(Value::as_object_mut);
        group.context("no group")?.remove(age).context("no age")?;
    }
    let expected = json!({
        "name": TOPIC.name, "length": 4, "published": 4,
        "dead_letters": 1, "redriven": 1, "discarded": 1, "expired": 0,
        "groups": [{
            "name": "normalizers", "consumers": 1, "undelivered": 1, "undelivered_exact": true,
            "pending": 0, "retrying": 0, "done": 0, "dead": 3, "vanished": 0,
        }],
    });
    assert_eq!(stream, expected);
    Ok(())
}

#[tokio::test]
async fn what_is_not_there_or_not_understood_is_said_so() -> Result<()> {
    let Some(bench) = Bench::start(&[])? else {
        return Ok(());
    };
    for (path, status, code) in [
        ("/api/streams/events.row", 404, "unknown_stream"),
        ("/api/streams/events.raw.dlq.dlq", 404, "unknown_stream"),
        ("/api/streams/.dlq", 404, "unknown_stream"),
        (
            "/api/streams/events.raw?startId=yesterday",
            400,
            "invalid_message_id",
        ),
        ("/api/streams/events.raw?count=many", 400, "invalid_request"),
        ("/api/streams/%ff", 400, "invalid_request"),
        (
            "/api/streams/events.raw/pending?after=x",
            400,
            "invalid_message_id",
        ),
        (
            "/api/streams/events.raw/pending?group=nobody",
            404,
            "unknown_group",
        ),
        ("/api/streams/events.rejected/pending", 400, "no_group"),
        ("/api/streams/events.raw.dlq/pending", 404, "unknown_stream"),
        ("/api/dead-letters?topic=nothing", 404, "unknown_stream"),
        (
            "/api/dead-letters?topic=events.raw&startId=x",
            400,
            "invalid_message_id",
        ),
        ("/api/dead-letters/nothing/1-1", 404, "unknown_stream"),
        ("/api/dead-letters/events.raw/x", 400, "invalid_message_id"),
        (
            "/api/dead-letters/events.raw/1-1",
            404,
            "unknown_dead_letter",
        ),
        ("/dead-letters/nothing", 404, "unknown_stream"),
        ("/api/nowhere", 404, "unknown_path"),
    ] {
        let answer = bench.get(path)?;
        assert_eq!(
            code_of(&answer, status).with_context(|| path.to_owned())?,
            code,
            "{path}"
        );
    }
    let answer = bench.send("/api/audit", &[("Content-Type", "application/json")], b"{}")?;
    assert_eq!(code_of(&answer, 405)?, "wrong_method");
    for path in ["/api/streams/events.raw", "/api/streams/events.raw.dlq"] {
        let empty = json!({ "name": path.trim_start_matches("/api/streams/"), "messages": [], "nextId": null });
        assert_eq!(bench.json(path)?, empty);
    }
    Ok(())
}
