//! `millrace trace` on a whole Millrace.

use std::time::Duration;

use anyhow::Result;
use bus::MessageId;
use common::topics::{EventsNormalized, EventsRaw};
use serde_json::{Value, json};
use testkit::servers::{RedisServer, http_post, or_skip, redis_cli};
use tests::{SqlServer, Stack, sqlite};

use crate::events::{bus, event_id, publish};
use crate::millrace::Millrace;
use crate::reader::Reader;

const SOON: Duration = Duration::from_mins(1);
const ID: &str = "018f3a52-0000-7000-8000-000000000001";
const OTHER: &str = "018f3a52-0000-7000-8000-000000000002";

/// A tool that finds the servers of a stack.
fn millrace(stack: &Stack) -> Millrace {
    Millrace::default()
        .with("REDIS_URL", stack.redis.url())
        .with("DATABASE_URL", &stack.sql.url())
}

fn purchase(event_id: &str) -> String {
    json!({
        "brand_id": "acme", "event_type": "purchase", "event_id": event_id,
        "payload": {"order_id": "o-1", "user_id": "ann", "total": "29.33", "currency": "EUR"},
    })
    .to_string()
}

/// The stages of a trace, by their topics.
fn topics(trace: &Value) -> Vec<&str> {
    let stages = trace["stages"].as_array().expect("stages");
    stages
        .iter()
        .map(|stage| stage["topic"].as_str().expect("a topic"))
        .collect()
}

async fn an_event_is_traced_into_sql(sql: SqlServer) -> Result<()> {
    let Some(redis) = or_skip("redis-server", RedisServer::start()) else {
        return Ok(());
    };
    let stack = Stack::start(redis, sql, &[]).await?;
    let millrace = millrace(&stack);
    http_post(&stack.api, "/v1/events", purchase(ID).as_bytes())?;
    stack.wait_drained(SOON).await?;
    let ran = millrace.run(&["trace", ID, "--json"]);
    assert_eq!(ran.code(), Some(0), "{}", ran.stderr());
    let trace = ran.object();
    assert_eq!(topics(&trace), ["events.raw", "events.normalized"]);
    assert_eq!(
        (&trace["brand_id"], &trace["event_type"]),
        (&json!("acme"), &json!("purchase"))
    );
    let [raw, normalized] = [&trace["stages"][0], &trace["stages"][1]];
    let normalizers = &raw["groups"][0];
    assert_eq!(
        (&normalizers["group"], &normalizers["state"]),
        (&json!("normalizers"), &json!("done"))
    );
    assert_eq!(
        normalizers["applied_at"],
        Value::Null,
        "it has no effects in SQL"
    );
    assert_eq!(normalized["cause"]["id"], raw["id"]);
    let processors = &normalized["groups"][0];
    assert_eq!(processors["state"], "done");
    let applied_at = processors["applied_at"].as_str().expect("a time");
    assert!(
        applied_at >= normalized["at"].as_str().expect("a time"),
        "{applied_at}"
    );

    // The same order again counts no more, and the trace says why.
    http_post(&stack.api, "/v1/events", purchase(OTHER).as_bytes())?;
    stack.wait_drained(SOON).await?;
    let trace = millrace.run(&["trace", OTHER, "--json"]).object();
    assert_eq!(
        topics(&trace),
        ["events.raw", "events.normalized", "events.rejected"]
    );
    let rejected = &trace["stages"][2];
    assert_eq!(rejected["reason"], "duplicate_order");
    assert_eq!(rejected["cause"]["id"], trace["stages"][1]["id"]);

    let text = millrace.run(&["trace", OTHER]).stdout();
    for words in [
        "purchase of acme",
        "in SQL",
        "duplicate_order",
        "searched all",
    ] {
        assert!(text.contains(words), "no {words:?} in {text}");
    }
    Ok(())
}

#[tokio::test]
async fn an_event_is_traced_into_sqlite() -> Result<()> {
    an_event_is_traced_into_sql(sqlite()?).await
}

#[tokio::test]
async fn an_event_is_traced_into_postgres() -> Result<()> {
    let Some(sql) = SqlServer::postgres() else {
        return Ok(());
    };
    an_event_is_traced_into_sql(sql).await
}

#[tokio::test]
async fn an_event_is_found_by_the_id_that_its_sender_gave_it() -> Result<()> {
    let Some(redis) = or_skip("redis-server", RedisServer::start()) else {
        return Ok(());
    };
    let stack = Stack::start(redis, sqlite()?, &[]).await?;
    let millrace = millrace(&stack);
    http_post(&stack.api, "/v1/events", purchase("shop-1").as_bytes())?;
    stack.wait_drained(SOON).await?;
    let trace = millrace
        .run(&["trace", "shop-1", "--brand", "acme", "--json"])
        .object();
    assert_eq!(topics(&trace), ["events.raw", "events.normalized"]);

    let other = millrace.run(&["trace", "shop-1", "--brand", "other"]);
    assert_eq!((other.code(), other.stdout().as_str()), (Some(1), ""));
    assert!(
        other.stderr().contains("no message tells of event"),
        "{}",
        other.stderr()
    );
    assert!(
        other
            .stderr()
            .contains("searched all 1 messages of events.raw"),
        "{}",
        other.stderr()
    );
    let unknown = millrace.run(&["trace", "shop-1"]);
    assert_eq!(unknown.code(), Some(64));
    assert!(unknown.stderr().contains("--brand"), "{}", unknown.stderr());
    Ok(())
}

/// Where the group has the event of a number.
fn state(millrace: &Millrace, number: u32) -> Value {
    let id = event_id(number).to_string();
    let trace = millrace.run(&["trace", &id, "--json"]).object();
    trace["stages"][0]["groups"][0].clone()
}

#[tokio::test]
async fn every_state_of_a_message_is_told_from_the_others() {
    let Some((_redis, bus, millrace)) = bus() else {
        return;
    };
    let ids = publish(&bus, 0..4).await;
    assert_eq!(
        state(&millrace, 0)["state"],
        "undelivered",
        "there is no group yet"
    );
    let mut reader = Reader::join::<EventsRaw>(&bus);
    reader.take(4).await;
    // Settled out of order: what is open before it changes nothing.
    reader.finish(&ids[3..]).await;
    reader.fail(&ids[1..2], "timeout").await;
    reader.give_up(&ids[2..3], "hopeless").await;
    let stopped = reader.stop().await;
    publish(&bus, 4..5).await;

    let held = state(&millrace, 0);
    assert_eq!(
        (&held["state"], &held["holder"]),
        (&json!("held"), &json!(stopped))
    );
    assert_eq!(held["attempts"], 1);
    let retrying = state(&millrace, 1);
    assert_eq!(retrying["state"], "retrying");
    assert_eq!(retrying["last_failure"], "timeout: timeout, at length");
    let dead = state(&millrace, 2);
    assert_eq!(
        (&dead["state"], &dead["reason"]),
        (&json!("dead"), &json!("hopeless"))
    );
    assert_eq!(
        (&dead["attempts"], &dead["error"]),
        (&json!(1), &json!("hopeless, at length"))
    );
    assert_eq!(state(&millrace, 3)["state"], "done");
    assert_eq!(state(&millrace, 4)["state"], "undelivered");
}

#[tokio::test]
async fn a_letter_that_was_sent_again_is_the_same_event_twice() {
    let Some((redis, bus, millrace)) = bus() else {
        return;
    };
    let ids = publish(&bus, 0..1).await;
    let mut reader = Reader::join::<EventsRaw>(&bus);
    reader.take(1).await;
    reader.give_up(&ids, "hopeless").await;
    // The message itself is trimmed; its letter tells of it.
    redis_cli(redis.url(), &["XDEL", "events.raw", &ids[0].to_string()]).expect("deleted");
    let id = event_id(0).to_string();
    let trace = millrace.run(&["trace", &id, "--json"]).object();
    let gone = &trace["stages"][0];
    assert_eq!(
        (&gone["gone"], &gone["id"]),
        (&json!(true), &json!(ids[0].to_string()))
    );
    assert_eq!(gone["groups"][0]["state"], "dead");

    publish(&bus, 0..1).await;
    let trace = millrace.run(&["trace", &id, "--json"]).object();
    assert_eq!(topics(&trace), ["events.raw", "events.raw"]);
    assert_eq!(trace["stages"][0]["again_as"], trace["stages"][1]["id"]);
}

/// The event is normalised and given up; gives the message that it was.
async fn given_up(stack: &mut Stack, id: &str) -> Result<MessageId> {
    stack.processors.kill()?;
    let bus = stack.bus()?;
    let mut reader = Reader::join::<EventsNormalized>(&bus);
    http_post(&stack.api, "/v1/events", purchase(id).as_bytes())?;
    let ids = reader.take(1).await;
    reader.give_up(&ids, "hopeless").await;
    reader.stop().await;
    Ok(ids[0])
}

#[tokio::test]
async fn the_effects_of_a_letter_that_was_sent_again_are_those_of_the_new_message() -> Result<()> {
    let Some(redis) = or_skip("redis-server", RedisServer::start()) else {
        return Ok(());
    };
    let mut stack = Stack::start(redis, sqlite()?, &[]).await?;
    let millrace = millrace(&stack);
    let first = given_up(&mut stack, ID).await?.to_string();
    let redrive = ["dead", "redrive", "events.normalized", "--all", "--yes"];
    assert_eq!(millrace.run(&redrive).stdout().trim(), "1 sent again");
    stack.replace_processors()?;
    stack.wait_drained(SOON).await?;

    let trace = millrace.run(&["trace", ID, "--json"]).object();
    assert_eq!(
        topics(&trace),
        ["events.raw", "events.normalized", "events.normalized"]
    );
    let [died, again] = [&trace["stages"][1], &trace["stages"][2]];
    assert_eq!(
        (&died["id"], &died["redriven_from"], &again["redriven_from"]),
        (&json!(first), &Value::Null, &json!(first))
    );
    let [old, new] = [&died["groups"][0], &again["groups"][0]];
    assert_eq!(
        (&old["state"], &old["message"], &old["applied_at"]),
        (&json!("redriven"), &again["id"], &Value::Null)
    );
    assert_eq!(new["state"], "done");
    let applied_at = new["applied_at"].as_str().expect("a time");
    assert!(applied_at >= again["at"].as_str().expect("a time"));

    let text = millrace.run(&["trace", ID]).stdout();
    for words in [
        format!(
            "given up, and sent again as {}",
            again["id"].as_str().expect("an id")
        ),
        format!("a dead letter sent again, first published as {first}"),
    ] {
        assert!(text.contains(&words), "no {words:?} in {text}");
    }
    Ok(())
}

#[tokio::test]
async fn a_search_is_bounded_and_says_what_it_left_out() {
    let Some((_redis, bus, millrace)) = bus() else {
        return;
    };
    publish(&bus, 0..1_200).await;
    let id = event_id(600).to_string();
    let newest = |most: &str| millrace.run(&["trace", &id, "--search-max", most, "--json"]);
    let all = newest("100000").object();
    assert_eq!(topics(&all), ["events.raw"]);
    assert_eq!(
        (
            &all["searched"][0]["searched"],
            &all["searched"][0]["complete"]
        ),
        (&json!(1_200), &json!(true))
    );
    // 599 are newer.
    assert_eq!(
        (newest("600").code(), newest("599").code()),
        (Some(0), Some(1))
    );
    let few = newest("599");
    assert_eq!(few.object()["searched"][0]["complete"], false);
    assert!(
        few.stderr().contains("--search-max searches more"),
        "{}",
        few.stderr()
    );
    let exactly = newest("1200").object();
    assert_eq!(exactly["searched"][0]["complete"], true);
}

#[tokio::test]
async fn a_trace_without_the_database_shows_the_rest_and_says_so() {
    let Some((_redis, bus, millrace)) = bus() else {
        return;
    };
    publish(&bus, 0..1).await;
    let millrace = millrace.with("DATABASE_URL", "sqlite:///nowhere/at/all.db");
    let id = event_id(0).to_string();
    let trace = millrace.run(&["trace", &id, "--json"]).object();
    assert_eq!(topics(&trace), ["events.raw"]);
    assert!(trace["sql_error"].is_string(), "{trace}");
    let text = millrace.run(&["trace", &id]).stdout();
    assert!(text.contains("SQL was not asked"), "{text}");
}
