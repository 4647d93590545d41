//! The first flow on real input: events go in over HTTP and come out as features and analytics.

use std::time::Duration;

use anyhow::{Context as _, Result};
use serde_json::{Value, json};
use testkit::servers::{RedisServer, http_get, http_post, or_skip, redis_cli};
use tests::{Sale, Sender, SqlServer, Stack, sqlite};

const DRAINED: Duration = Duration::from_mins(2);

/// Every purchase of the CDNOW sample (see data/README.md), one event a line.
fn cdnow() -> Vec<Sale> {
    let lines = include_str!("data/cdnow_sample.txt").lines();
    let sale = |(number, line): (usize, &str)| {
        let mut columns = line.split_whitespace();
        let user_id = columns.next()?.to_owned();
        let date = columns.nth(1)?;
        let (dollars, cents) = columns.nth(1)?.split_once('.')?;
        let (year, month, day) = (date.get(..4)?, date.get(4..6)?, date.get(6..)?);
        Some(Sale {
            event_id: format!("cdnow-{number}"),
            user_id,
            timestamp: format!("{year}-{month}-{day}T00:00:00Z"),
            cents: dollars.parse::<i64>().ok()? * 100 + cents.parse::<i64>().ok()?,
        })
    };
    lines.enumerate().filter_map(sale).collect()
}

async fn replay_cdnow(sql: SqlServer) -> Result<()> {
    let Some(redis) = or_skip("redis-server", RedisServer::start()) else {
        return Ok(());
    };
    let stack = Stack::start(redis, sql, &[]).await?;
    let sales = cdnow();
    assert_eq!(sales.len(), 6_919);
    let mut sender = Sender::new(&stack.api, "cdnow");
    for batch in sales.chunks(500) {
        sender.send(batch)?;
    }
    // Sending everything again changes nothing.
    let mut again = Sender::new(&stack.api, "cdnow");
    for batch in sales.chunks(499) {
        again.send(batch)?;
    }
    assert_eq!(again.statuses, [("duplicate".to_owned(), 6_919)].into());
    stack.wait_drained(DRAINED).await?;
    assert_eq!(sender.ledger.len(), 6_919);
    sender.ledger.check(&stack, "cdnow").await
}

#[tokio::test]
async fn cdnow_comes_out_to_the_cent_on_sqlite() -> Result<()> {
    replay_cdnow(sqlite()?).await
}

#[tokio::test]
async fn cdnow_comes_out_to_the_cent_on_postgres() -> Result<()> {
    let Some(sql) = SqlServer::postgres() else {
        return Ok(());
    };
    replay_cdnow(sql).await
}

#[tokio::test]
async fn the_streams_show_exactly_the_fields_of_the_contract() -> Result<()> {
    let Some(redis) = or_skip("redis-server", RedisServer::start()) else {
        return Ok(());
    };
    let stack = Stack::start(redis, sqlite()?, &[]).await?;
    let event = json!({
        "event_id": "018f3a52-0000-7000-8000-000000000001", "brand_id": "acme",
        "event_type": "purchase", "timestamp": 852_076_800,
        "payload": {"order_id": 7, "total": 29.33, "currency": "usd", "email": " Ann@Example.COM"},
    });
    http_post(&stack.api, "/v1/events", event.to_string().as_bytes())?;
    stack.wait_drained(DRAINED).await?;
    let fields = |stream: &str| -> Result<Vec<String>> {
        let entry = redis_cli(
            stack.redis.url(),
            &["XRANGE", stream, "-", "+", "COUNT", "1"],
        )?;
        Ok(entry
            .lines()
            .skip(1)
            .step_by(2)
            .map(str::to_owned)
            .collect())
    };
    assert_eq!(
        fields("events.raw")?,
        ["event_id", "brand_id", "event_type", "payload", "timestamp"]
    );
    assert_eq!(
        fields("events.normalized")?,
        [
            "event_id",
            "brand_id",
            "event_type",
            "profile_id",
            "identifiers",
            "normalized_payload",
            "timestamp",
            "origin_id",
        ]
    );
    assert_eq!(
        fields("predictions.requests")?,
        [
            "profile_id",
            "brand_id",
            "request_type",
            "timestamp",
            "cause"
        ]
    );
    Ok(())
}

/// A body, and the status and code of its answer.
type BadBody = (Vec<u8>, u16, &'static str);

/// Bodies that are no batch of events.
fn bad_bodies() -> Vec<BadBody> {
    vec![
        (b"".to_vec(), 400, "invalid_json"),
        (b"{".to_vec(), 400, "invalid_json"),
        (b"\xff\xfe".to_vec(), 400, "invalid_utf8"),
        (b"[".repeat(100_000), 400, "invalid_json"),
        (b"{\"a\":".repeat(100_000), 400, "invalid_json"),
        (b" ".repeat(5 * 1024 * 1024), 413, "body_too_large"),
        (
            format!("[{}1]", "1,".repeat(500)).into_bytes(),
            413,
            "too_many_events",
        ),
    ]
}

/// Payloads and other parts of events that are not accepted.
fn bad_events() -> Vec<String> {
    let event = |rest: &str| format!(r#"{{"brand_id":"acme","event_type":"purchase",{rest}}}"#);
    let deep = format!("{}1{}", r#"{"a":"#.repeat(1_000), "}".repeat(1_000));
    vec![
        "null".to_owned(),
        "[]".to_owned(),
        event(r#""payload":null"#),
        event(r#""payload":{"a":"\udc00"}"#),
        event(&format!(r#""payload":{deep}"#)),
        event(r#""payload":{},"surprise":1"#),
        event(r#""payload":{},"event_id":7"#),
        event(r#""payload":{},"event_id":"a\u0000b""#),
        event(r#""payload":{},"timestamp":"9999-12-31T23:59:59Z""#),
        event(r#""payload":{},"timestamp":"1900-01-01T00:00:00Z""#),
        event(&format!(r#""payload":{{"a":"{}"}}"#, "x".repeat(300_000))),
    ]
}

/// Payloads of purchases that cannot be brought into normal form.
fn unnormal_payloads() -> [&'static str; 6] {
    [
        "{}",
        r#"{"total":-1,"currency":"USD"}"#,
        r#"{"total":"NaN","currency":"USD"}"#,
        r#"{"total":1e300,"currency":"USD"}"#,
        r#"{"total":1,"currency":"USD","order_id":"a\u0000b"}"#,
        r#"{"total":{"total":1},"currency":[]}"#,
    ]
}

#[tokio::test]
async fn bad_input_gets_a_clear_answer_and_stops_nothing() -> Result<()> {
    let Some(redis) = or_skip("redis-server", RedisServer::start()) else {
        return Ok(());
    };
    let stack = Stack::start(redis, sqlite()?, &[]).await?;
    for (body, status, code) in bad_bodies() {
        let answer = http_post(&stack.api, "/v1/events", &body)?;
        let problem: Value = serde_json::from_str(&answer.body).context(answer.body.clone())?;
        assert_eq!(
            (answer.status, problem.get("code")),
            (status, Some(&json!(code)))
        );
    }
    let events = bad_events();
    let answer = http_post(
        &stack.api,
        "/v1/events",
        format!("[{}]", events.join(",")).as_bytes(),
    )?;
    assert_eq!(answer.status, 202, "{}", answer.body);
    let results: Value = serde_json::from_str(&answer.body)?;
    for (index, event) in events.iter().enumerate() {
        let status = results.pointer(&format!("/results/{index}/status"));
        assert_eq!(status, Some(&json!("rejected")), "{event:.100}");
    }
    for payload in unnormal_payloads() {
        let event = format!(r#"{{"brand_id":"acme","event_type":"purchase","payload":{payload}}}"#);
        let answer = http_post(&stack.api, "/v1/events", event.as_bytes())?;
        assert!(
            answer.body.contains("rejected"),
            "{payload}: {}",
            answer.body
        );
    }
    for path in ["/", "/v1/event", "/v1/events/"] {
        assert_eq!(http_get(&stack.api, path)?.status, 404);
    }
    assert_eq!(http_get(&stack.api, "/v1/events")?.status, 405);
    let mut sender = Sender::new(&stack.api, "acme");
    let sale = Sale {
        event_id: "good".to_owned(),
        user_id: "ann".to_owned(),
        timestamp: "2026-01-01T00:00:00Z".to_owned(),
        cents: 100,
    };
    sender.send(&[sale])?;
    stack.wait_drained(DRAINED).await?;
    sender.ledger.check(&stack, "acme").await?;
    Ok(())
}

#[tokio::test]
async fn what_others_write_and_cannot_be_normalised_is_rejected_with_its_reason() -> Result<()> {
    let Some(redis) = or_skip("redis-server", RedisServer::start()) else {
        return Ok(());
    };
    let stack = Stack::start(redis, sqlite()?, &[]).await?;
    let id = "018f3a52-0000-7000-8000-000000000001";
    for (payload, timestamp) in [
        (r#"{"total":-1,"currency":"USD"}"#, "2026-01-01T00:00:00Z"),
        (r#"{"total":1,"currency":"USD"}"#, "9999-01-01T00:00:00Z"),
        ("not json", "2026-01-01T00:00:00Z"),
    ] {
        // Another id each, or they would be the same event.
        let id = id.replace(
            "0001",
            &format!("{:04}", payload.len() + timestamp.len() % 7),
        );
        redis_cli(
            stack.redis.url(),
            &[
                "XADD",
                "events.raw",
                "*",
                "event_id",
                &id,
                "brand_id",
                "acme",
                "event_type",
                "purchase",
                "payload",
                payload,
                "timestamp",
                timestamp,
            ],
        )?;
    }
    stack.wait_drained(DRAINED).await?;
    let rejected = redis_cli(stack.redis.url(), &["XRANGE", "events.rejected", "-", "+"])?;
    for reason in ["negative_amount", "timestamp_out_of_range", "invalid_json"] {
        assert!(rejected.contains(reason), "{reason} is not in {rejected}");
    }
    Ok(())
}

/// What `redis-cli XADD` puts into a stream: its name, then names and values in turn.
const POISON: [(&str, &str); 5] = [
    ("events.raw", "brand_id acme"),
    ("events.raw", "event_id 7 brand_id - payload x"),
    ("events.raw", "\u{1} \u{1}"),
    ("events.normalized", "surprise 1"),
    (
        "events.normalized",
        "event_id 018f3a52-0000-7000-8000-000000000001 brand_id acme event_type purchase \
         profile_id 018f3a52-0000-7000-8000-000000000002 identifiers [] \
         normalized_payload {\"amount_minor\":\"much\"} timestamp 2026-01-01T00:00:00Z",
    ),
];
/// What another program writes by hand may have its own time stamps, and counts.
const BY_HAND: &str = "event_id 018f3a52-0000-7000-8000-000000000001 brand_id acme \
     event_type page_view payload {} timestamp 852076800";

fn add(stack: &Stack, stream: &str, fields: &str) -> Result<()> {
    let command: Vec<&str> = ["XADD", stream, "*"]
        .into_iter()
        .chain(fields.split_whitespace())
        .collect();
    redis_cli(stack.redis.url(), &command).map(drop)
}

#[tokio::test]
async fn poison_in_a_stream_becomes_a_dead_letter_and_its_neighbours_are_processed() -> Result<()> {
    let Some(redis) = or_skip("redis-server", RedisServer::start()) else {
        return Ok(());
    };
    let stack = Stack::start(redis, sqlite()?, &[]).await?;
    for (stream, fields) in POISON {
        add(&stack, stream, fields)?;
    }
    add(&stack, "events.raw", BY_HAND)?;
    let mut sender = Sender::new(&stack.api, "cdnow");
    for batch in cdnow().chunks(500).take(2) {
        sender.send(batch)?;
    }
    stack.wait_drained(DRAINED).await?;
    sender.ledger.check(&stack, "cdnow").await?;
    for (stream, letters) in [("events.raw.dlq", "3"), ("events.normalized.dlq", "2")] {
        let length = redis_cli(stack.redis.url(), &["XLEN", stream])?;
        assert_eq!(length.trim(), letters, "{stream}");
    }
    let query = stores::BucketQuery {
        brand_id: common::BrandId::new("acme")?,
        grain: stores::Grain::Day,
        event_type: Some("page_view".to_owned()),
        from: common::UnixMillis(0),
        to: common::UnixMillis(i64::MAX),
        limit: 10,
    };
    let buckets = stack.stores()?.2.buckets(&query).await?;
    assert_eq!(buckets.iter().map(|bucket| bucket.events).sum::<i64>(), 1);
    Ok(())
}
