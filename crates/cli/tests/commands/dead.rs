//! `millrace dead` against a real Redis.

use std::time::Duration;

use anyhow::Result;
use bus::Bus;
use common::Topic as _;
use common::topics::EventsRaw;
use serde_json::json;
use testkit::servers::{RedisServer, eventually, or_skip, redis_cli};
use tests::{Stack, sqlite};

use crate::events::{bus, event_id, publish};
use crate::millrace::Millrace;
use crate::reader::Reader;

const SOON: Duration = Duration::from_mins(1);

/// So many messages, the first of which are given up as `hopeless`, the rest as `broken`.
async fn letters(bus: &Bus, hopeless: u32, broken: u32) -> Reader {
    let ids = publish(bus, 0..hopeless + broken).await;
    let mut reader = Reader::join::<EventsRaw>(bus);
    reader.take(ids.len()).await;
    let (first, rest) = ids.split_at(usize::try_from(hopeless).expect("small"));
    reader.give_up(first, "hopeless").await;
    reader.give_up(rest, "broken").await;
    reader
}

/// The ids of the letters of a reason.
fn listed(millrace: &Millrace, reason: &str) -> Vec<String> {
    let arguments = ["dead", "list", "events.raw", "--json", "--reason", reason];
    let lines = millrace.run(&arguments).json();
    let id = |line: &serde_json::Value| line["id"].as_str().expect("an id").to_owned();
    lines.iter().map(id).collect()
}

/// Waiting, redriven, discarded.
async fn counts(bus: &Bus) -> [u64; 3] {
    let overview = bus.overview(&EventsRaw::INFO).await.expect("an overview");
    assert!(overview.audit().is_balanced());
    [overview.dead_letters, overview.redriven, overview.discarded]
}

#[tokio::test]
async fn letters_are_counted_listed_and_shown_with_their_message() {
    let Some((_redis, bus, millrace)) = bus() else {
        return;
    };
    assert_eq!(millrace.run(&["dead", "list", "--json"]).json().len(), 0);
    let reader = letters(&bus, 2, 1).await;

    let topic = millrace.run(&["dead", "list", "--json"]).object();
    let expected = json!({
        "topic": "events.raw", "waiting": 3, "redriven": 0, "discarded": 0, "expired": 0,
    });
    assert_eq!(topic, expected);
    assert_eq!(listed(&millrace, "hopeless").len(), 2);
    let table = millrace.run(&["dead", "list", "events.raw"]).stdout();
    assert!(table.contains("broken, at length"), "{table}");
    let first = millrace.run(&["dead", "list", "events.raw", "--json", "--count", "1"]);
    assert_eq!(first.object()["reason"], "hopeless");
    assert!(
        first.stderr().contains("there are more"),
        "{}",
        first.stderr()
    );

    let id = listed(&millrace, "broken").remove(0);
    let letter = millrace
        .run(&["dead", "show", "events.raw", &id, "--json"])
        .object();
    assert_eq!(
        (&letter["id"], &letter["group"]),
        (&json!(id), &json!("normalizers"))
    );
    assert_eq!(
        (&letter["attempts"], &letter["worker"]),
        (&json!(1), &json!(reader.consumer.name()))
    );
    assert_eq!(letter["fields"]["event_id"], event_id(2).to_string());
    assert_eq!(letter["fields"].get("dlq_reason"), None);
    let table = millrace.run(&["dead", "show", "events.raw", &id]).stdout();
    assert!(
        table.contains("field event_id") && table.contains("broken, at length"),
        "{table}"
    );

    let ran = millrace.run(&["dead", "show", "events.raw", "1-1"]);
    assert_eq!(ran.code(), Some(1));
    assert!(
        ran.stderr().contains("millrace dead list events.raw"),
        "{}",
        ran.stderr()
    );
}

#[tokio::test]
async fn letters_are_sent_again_by_their_id_and_only_once() {
    let Some((_redis, bus, millrace)) = bus() else {
        return;
    };
    let mut reader = letters(&bus, 3, 0).await;
    let ids = listed(&millrace, "hopeless");
    let redrive = |id: &str| millrace.run(&["dead", "redrive", "events.raw", id, "--json"]);
    let ran = redrive(&ids[1]);
    assert_eq!(
        (ran.code(), &ran.object()["result"]),
        (Some(0), &json!("redriven"))
    );
    assert_eq!(counts(&bus).await, [2, 1, 0]);
    let again = redrive(&ids[1]);
    let unknown = json!({"topic": "events.raw", "id": ids[1], "result": "unknown"});
    assert_eq!((again.code(), again.object()), (Some(1), unknown));
    assert_eq!(counts(&bus).await, [2, 1, 0]);
    let taken = reader.take(1).await;
    let (id, message) = (&ids[1], taken[0].to_string());
    let sent = json!({
        "topic": "events.raw", "id": id, "result": "redriven", "message": message,
    });
    assert_eq!(ran.object(), sent);

    let text = millrace.run(&["dead", "discard", "events.raw", &ids[0], &ids[1]]);
    assert_eq!(text.stdout().trim(), "1 removed, 1 not there");
    assert_eq!((text.code(), counts(&bus).await), (Some(1), [1, 1, 1]));
}

#[tokio::test]
async fn all_letters_of_a_reason_are_decided_on_and_no_others() {
    let Some((_redis, bus, millrace)) = bus() else {
        return;
    };
    // More than are read at once.
    let mut reader = letters(&bus, 250, 30).await;
    let arguments = [
        "dead",
        "redrive",
        "events.raw",
        "--all",
        "--reason",
        "hopeless",
    ];
    let asked = millrace.run(&arguments);
    assert_eq!(asked.code(), Some(64), "nobody agreed");
    assert!(
        asked.stderr().contains("--yes") && asked.stdout().is_empty(),
        "{asked:?}"
    );
    assert_eq!(counts(&bus).await, [280, 0, 0]);

    let ran = millrace.run(&[&arguments[..], &["--yes"]].concat());
    assert_eq!(
        (ran.code(), ran.stdout().trim()),
        (Some(0), "250 sent again")
    );
    assert_eq!(counts(&bus).await, [30, 250, 0]);
    reader.take(250).await;
    let broken = listed(&millrace, "broken");
    assert_eq!(broken.len(), 30);
    let ran = millrace.run(&["dead", "discard", "events.raw", "--all", "--yes", "--json"]);
    let lines = ran.json();
    assert_eq!(lines.len(), 30);
    for (line, id) in lines.iter().zip(broken) {
        let gone = json!({"topic": "events.raw", "id": id, "result": "discarded"});
        assert_eq!(line, &gone);
    }
    assert!(ran.stderr().contains("30 removed"), "{}", ran.stderr());
    assert_eq!(counts(&bus).await, [0, 250, 30]);
}

#[tokio::test]
async fn what_cannot_be_sent_again_stays_and_is_named() {
    let Some((redis, bus, millrace)) = bus() else {
        return;
    };
    let empty = ["XADD", "events.raw.dlq", "*", "dlq_reason", "theirs"];
    let id = redis_cli(redis.url(), &empty).expect("added");
    let id = id.trim();
    let ran = millrace.run(&["dead", "redrive", "events.raw", "--all", "--yes"]);
    assert_eq!(
        (ran.code(), ran.stdout().trim()),
        (Some(1), "0 sent again, 1 refused")
    );
    assert!(ran.stderr().contains(id), "{}", ran.stderr());
    let ran = millrace.run(&["dead", "redrive", "events.raw", id, "--json"]);
    let refused = ran.object();
    assert_eq!(
        (&refused["id"], &refused["result"]),
        (&json!(id), &json!("refused"))
    );
    assert!(refused["why"].is_string(), "{refused}");
    let left = bus
        .dead_letters(&EventsRaw::INFO, bus::MessageId::ZERO, 10)
        .await;
    assert_eq!(left.expect("read").len(), 1);
}

#[tokio::test]
async fn a_decision_needs_ids_or_all_and_a_reason_needs_all() {
    let Some((_redis, _bus, millrace)) = bus() else {
        return;
    };
    for arguments in [
        &["dead", "redrive", "events.raw"][..],
        &["dead", "discard", "events.raw", "1-1", "--all"],
        &["dead", "discard", "events.raw", "1-1", "--reason", "x"],
        &["dead", "redrive", "events.raw", "yesterday"],
        &["dead", "list", "--reason", "x"],
    ] {
        let ran = millrace.run(arguments);
        assert_eq!(ran.code(), Some(64), "{arguments:?}: {}", ran.stderr());
        assert_eq!(ran.stderr().lines().count(), 1, "{}", ran.stderr());
    }
    let ran = millrace.run(&["dead", "list", "--lease-ms", "1"]);
    assert_eq!(ran.code(), Some(64));
    assert!(ran.stderr().contains("LEASE_MS: "), "{}", ran.stderr());
}

#[tokio::test]
async fn letters_that_fail_again_are_not_sent_for_ever() -> Result<()> {
    let Some(redis) = or_skip("redis-server", RedisServer::start()) else {
        return Ok(());
    };
    let stack = Stack::start(redis, sqlite()?, &[]).await?;
    let url = stack.redis.url();
    let poison = r"for number = 1, 300 do redis.call('XADD', 'events.raw', '*', 'n', number) end";
    redis_cli(url, &["EVAL", poison, "0"])?;
    let letters = || redis_cli(url, &["XLEN", "events.raw.dlq"]).ok();
    eventually("letters", SOON, || (letters()? == "300").then_some(()))?;
    let millrace = Millrace::default().with("REDIS_URL", url);
    let ran = millrace.run(&["dead", "redrive", "events.raw", "--all", "--yes"]);
    assert_eq!(ran.stdout().trim(), "300 sent again");
    eventually("them again", SOON, || (letters()? == "300").then_some(()))?;
    let audit = millrace.run(&["audit", "--json"]).object();
    assert_eq!(audit["topics"][0]["dead_letters"]["redriven"], 300);
    Ok(())
}
