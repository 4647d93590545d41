//! `millrace pending` and `millrace audit` against a real Redis.

use std::process::Stdio;
use std::time::{Duration, Instant};

use common::topics::EventsRaw;
use serde_json::{Value, json};
use testkit::servers::redis_cli;

use crate::events::{bus, publish};
use crate::reader::Reader;

#[tokio::test]
async fn pending_messages_are_shown_with_their_holder_or_why_they_wait() {
    let Some((_redis, bus, millrace)) = bus() else {
        return;
    };
    let ids = publish(&bus, 0..3).await;
    let mut reader = Reader::join::<EventsRaw>(&bus);
    reader.take(3).await;
    reader.fail(&ids[1..2], "timeout").await;
    reader.finish(&ids[2..]).await;

    let lines = millrace.run(&["pending", "events.raw", "--json"]).json();
    assert_eq!(lines.len(), 2, "{lines:?}");
    let [held, waiting] = [&lines[0], &lines[1]];
    assert_eq!(held["id"], ids[0].to_string());
    assert_eq!(held["holder"], reader.consumer.name());
    assert_eq!(
        (&held["deliveries"], &held["last_failure"]),
        (&json!(1), &Value::Null)
    );
    assert_eq!(waiting["id"], ids[1].to_string());
    assert_eq!(
        (&waiting["holder"], &waiting["group"]),
        (&Value::Null, &json!("normalizers"))
    );
    assert_eq!(waiting["last_failure"], "timeout: timeout, at length");
    assert!(waiting["first_failed_at"].is_string() && waiting["idle_ms"].is_u64());

    let table = millrace.run(&["pending", "events.raw"]).stdout();
    for text in [
        reader.consumer.name(),
        "waits for its retry",
        "timeout, at length",
    ] {
        assert!(table.contains(text), "no {text} in {table}");
    }
    let first = millrace.run(&["pending", "events.raw", "--json", "--count", "1"]);
    assert_eq!(first.object()["id"], ids[0].to_string());
    assert!(
        first.stderr().contains("may have more"),
        "{}",
        first.stderr()
    );
}

#[tokio::test]
async fn a_group_that_does_not_read_the_topic_is_refused_with_those_that_do() {
    let Some((_redis, _bus, millrace)) = bus() else {
        return;
    };
    for (arguments, named) in [
        (
            &["pending", "events.raw", "--group", "nobody"][..],
            "normalizers",
        ),
        (&["pending", "events.rejected"], "it has none"),
        (&["pending", "events"], "events.normalized"),
    ] {
        let ran = millrace.run(arguments);
        assert_eq!(ran.code(), Some(64), "{arguments:?}");
        assert!(ran.stderr().contains(named), "{}", ran.stderr());
    }
    let nothing = millrace.run(&["pending", "events.raw", "--json"]);
    assert_eq!((nothing.code(), nothing.json().len()), (Some(0), 0));
    assert!(
        nothing
            .stderr()
            .contains("nothing of events.raw is pending")
    );
}

#[tokio::test]
async fn an_audit_counts_every_message_once_and_fails_when_one_is_missing() {
    let Some((redis, bus, millrace)) = bus() else {
        return;
    };
    let ids = publish(&bus, 0..6).await;
    let mut reader = Reader::join::<EventsRaw>(&bus);
    reader.take(6).await;
    reader.finish(&ids[..2]).await;
    reader.give_up(&ids[2..5], "hopeless").await;

    let ran = millrace.run(&["audit", "--json"]);
    assert_eq!(ran.code(), Some(0), "{}", ran.stderr());
    let report = ran.object();
    assert_eq!(
        (&report["balanced"], &report["proven"]),
        (&json!(true), &json!(true))
    );
    let raw = &report["topics"][0];
    assert_eq!(raw["topic"], "events.raw");
    let expected = json!({
        "group": "normalizers", "published": 6, "done": 2, "pending": 1, "dead": 3,
        "undelivered": 0, "vanished": 0, "difference": 0, "exact": true, "proven": true,
    });
    assert_eq!(raw["groups"][0], expected);
    assert_eq!(
        (
            &raw["dead_letters"]["waiting"],
            &raw["dead_letters"]["written"]
        ),
        (&json!(3), &json!(3))
    );

    // Somebody throws a dead letter away behind everybody's back.
    redis_cli(redis.url(), &["XTRIM", "events.raw.dlq", "MAXLEN", "2"]).expect("trimmed");
    let ran = millrace.run(&["audit"]);
    assert_eq!(ran.code(), Some(1));
    assert!(
        ran.stderr().contains("not every message is accounted for"),
        "{}",
        ran.stderr()
    );
    let ran = millrace.run(&["audit", "--json"]);
    assert_eq!(ran.object()["topics"][0]["dead_letters"]["difference"], 1);
}

#[tokio::test]
async fn an_audit_waits_for_the_balance_and_no_longer_than_it_is_told() {
    let Some((redis, bus, millrace)) = bus() else {
        return;
    };
    let ids = publish(&bus, 0..1).await;
    let mut reader = Reader::join::<EventsRaw>(&bus);
    reader.take(1).await;
    reader.give_up(&ids, "hopeless").await;
    let letter = redis_cli(redis.url(), &["XRANGE", "events.raw.dlq", "-", "+"]).expect("there");
    let id = letter.lines().next().expect("an id").to_owned();
    redis_cli(redis.url(), &["XDEL", "events.raw.dlq", &id]).expect("deleted");

    let started = Instant::now();
    let ran = millrace.run(&["audit", "--wait", "300ms"]);
    assert_eq!(ran.code(), Some(1), "{}", ran.stderr());
    assert!(started.elapsed() >= Duration::from_millis(300));

    let mut waiting = millrace.command(&["audit", "--wait", "60s"]);
    let mut waiting = waiting.stdout(Stdio::null()).spawn().expect("it runs");
    redis_cli(redis.url(), &["XADD", "events.raw.dlq", "*", "a", "1"]).expect("added");
    assert!(waiting.wait().expect("it ends").success());
    assert!(started.elapsed() < Duration::from_mins(1));
}

#[tokio::test]
async fn an_audit_that_cannot_count_says_so_and_waiting_for_it_fails() {
    let Some((redis, bus, millrace)) = bus() else {
        return;
    };
    publish(&bus, 0..2).await;
    let group = ["XGROUP", "CREATE", "events.raw", "strangers", "0"];
    redis_cli(redis.url(), &group).expect("created");
    let ran = millrace.run(&["audit", "--json"]);
    assert_eq!(ran.code(), Some(0), "{}", ran.stderr());
    assert!(
        ran.stderr()
            .contains("events.raw/strangers is not counted exactly"),
        "{}",
        ran.stderr()
    );
    let report = ran.object();
    assert_eq!(
        (&report["balanced"], &report["proven"]),
        (&json!(true), &json!(false))
    );
    assert_eq!(report["topics"][0]["proven"], false);
    assert_eq!(report["topics"][0]["groups"][0]["proven"], false);

    let ran = millrace.run(&["audit", "--wait", "300ms"]);
    assert_eq!(ran.code(), Some(1), "{}", ran.stderr());
    assert!(
        ran.stderr().contains("nothing is proven"),
        "{}",
        ran.stderr()
    );

    redis_cli(
        redis.url(),
        &["XGROUP", "DESTROY", "events.raw", "strangers"],
    )
    .expect("gone");
    let ran = millrace.run(&["audit", "--wait", "60s"]);
    assert_eq!(ran.code(), Some(0), "{}", ran.stderr());
}
