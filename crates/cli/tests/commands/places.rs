//! Where topics live, as the tool shows it, and what it refuses to move.

use anyhow::{Context as _, Result};
use serde_json::Value;
use testkit::servers::{redis_cli, redis_database};

use crate::millrace::Millrace;

#[test]
fn every_topic_is_shown_where_it_lives_and_one_that_went_away_as_unreachable() -> Result<()> {
    let Some(redis) = redis_database() else {
        return Ok(());
    };
    let moved = ["HSET", "bus:moved:events.raw", "state", "done"];
    redis_cli(redis.url(), &[&moved[..], &["copied", "1234"]].concat())?;
    let millrace = Millrace::default().with("REDIS_URL", redis.url());
    let ran = millrace.run(&["bus", "status", "--json"]);
    assert_eq!(ran.code(), Some(0), "{}", ran.stderr());
    let lines = ran.json();
    assert_eq!(lines.len(), common::topics::ALL.len());
    let of = |name: &str| lines.iter().find(|line| line["topic"] == name);
    let raw = of("events.raw").context("no events.raw")?;
    assert_eq!(raw["lives_on"], "unreachable");
    assert_eq!(
        (&raw["move"]["state"], &raw["move"]["messages"]),
        (&"done".into(), &1234.into())
    );
    let feedback = of("feedback.created").context("no feedback.created")?;
    assert_eq!(
        (&feedback["lives_on"], &feedback["move"]),
        (&"redis".into(), &Value::Null)
    );
    Ok(())
}

#[test]
fn a_topic_is_not_moved_to_a_kafka_that_is_not_named() {
    let ran = Millrace::default().run(&["bus", "migrate", "events.raw"]);
    assert_eq!(ran.code(), Some(64), "{}", ran.stderr());
    assert!(ran.stderr().contains("KAFKA_BROKERS"), "{}", ran.stderr());
    let ran = Millrace::default().run(&["bus", "migrate", "events"]);
    assert_eq!(ran.code(), Some(64), "{}", ran.stderr());
    assert!(
        ran.stderr().contains("events.normalized"),
        "{}",
        ran.stderr()
    );
}
