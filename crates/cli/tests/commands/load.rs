//! `millrace load` on a whole Millrace.

use std::net::TcpListener;
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::Result;
use common::{BrandId, UnixMillis};
use serde_json::{Value, json};
use stores::{BucketQuery, Grain};
use testkit::servers::{RedisServer, eventually, or_skip, redis_cli};
use tests::{Stack, sqlite};

use crate::millrace::Millrace;

const SOON: Duration = Duration::from_mins(1);

async fn stack() -> Result<Option<(Stack, Millrace)>> {
    let Some(redis) = or_skip("redis-server", RedisServer::start()) else {
        return Ok(None);
    };
    let stack = Stack::start(redis, sqlite()?, &[]).await?;
    let millrace = Millrace::default()
        .with("REDIS_URL", stack.redis.url())
        .with("INGESTION_URL", &format!("http://{}", stack.api));
    Ok(Some((stack, millrace)))
}

fn number(value: &Value) -> u64 {
    value
        .as_u64()
        .unwrap_or_else(|| panic!("{value} is no number"))
}

#[tokio::test]
async fn every_event_is_sent_counted_once_and_seen_to_its_end() -> Result<()> {
    let Some((stack, millrace)) = stack().await? else {
        return Ok(());
    };
    let arguments = [
        "load",
        "--events",
        "3000",
        "--brands",
        "1",
        "--duplicates",
        "0.1",
        "--seed",
        "7",
        "--json",
    ];
    let ran = millrace.run(&arguments);
    assert_eq!(ran.code(), Some(0), "{}", ran.stderr());
    let report = ran.object();
    let again = number(&report["sent_again"]);
    assert!((200..400).contains(&again), "{again} of 3,000 sent again");
    assert_eq!(
        (&report["sent"], &report["seed"]),
        (&json!(3_000), &json!(7))
    );
    assert_eq!(
        (number(&report["duplicate"]), number(&report["accepted"])),
        (again, 3_000 - again)
    );
    for nothing in ["rejected", "unanswered", "not_sent_in_time"] {
        assert_eq!(report[nothing], 0, "{nothing}");
    }
    let end = &report["end_to_end"];
    assert_eq!(
        (number(&end["accepted"]), number(&end["finished"])),
        (3_000 - again, 3_000 - again)
    );
    assert_eq!(
        (&end["lost"], &end["dead"], &end["sampled"]),
        (&json!(0), &json!(0), &json!(false))
    );
    for percentiles in [&report["http_ms"], &end["latency_ms"]] {
        let at = ["p50", "p90", "p99", "p99.9", "max"]
            .map(|name| percentiles[name].as_f64().expect(name));
        assert!(at[0] > 0.0 && at.is_sorted(), "{at:?}");
    }

    // What it says is what is in SQL.
    let (_, _, analytics) = stack.stores()?;
    let query = BucketQuery {
        brand_id: BrandId::new("load-1")?,
        grain: Grain::Day,
        event_type: None,
        from: UnixMillis(0),
        to: UnixMillis(i64::MAX),
        limit: 100,
    };
    let buckets = analytics.buckets(&query).await?;
    let counted: i64 = buckets.iter().map(|bucket| bucket.events).sum();
    assert_eq!(u64::try_from(counted)?, 3_000 - again);
    Ok(())
}

#[tokio::test]
async fn a_rate_is_kept_and_the_report_is_for_people_too() -> Result<()> {
    let Some((_stack, millrace)) = stack().await? else {
        return Ok(());
    };
    let started = Instant::now();
    let ran = millrace.run(&["load", "--rate", "200", "--duration", "2s"]);
    assert_eq!(ran.code(), Some(0), "{}", ran.stderr());
    assert!(
        started.elapsed() >= Duration::from_millis(1_900),
        "{:?}",
        started.elapsed()
    );
    let text = ran.stdout();
    for words in [
        "sent 400 events",
        "HTTP answer",
        "end to end",
        "p99.9",
        "0 rejected",
    ] {
        assert!(text.contains(words), "no {words:?} in {text}");
    }
    Ok(())
}

#[tokio::test]
async fn what_is_accepted_and_not_finished_in_time_is_named() -> Result<()> {
    let Some((mut stack, millrace)) = stack().await? else {
        return Ok(());
    };
    stack.processors.kill()?;
    let ran = millrace.run(&["load", "--events", "50", "--settle-timeout", "1s", "--json"]);
    assert_eq!(ran.code(), Some(1), "{}", ran.stderr());
    let end = &ran.object()["end_to_end"];
    assert_eq!(
        (&end["finished"], &end["lost"]),
        (&json!(0), &end["accepted"])
    );
    let lost = end["lost_events"].as_array().expect("a list");
    assert_eq!(lost.len(), 20);
    // They can be traced, and wait.
    let id = lost[0].as_str().expect("an id");
    let trace = millrace.run(&["trace", id, "--json"]).object();
    assert_eq!(trace["stages"][1]["groups"][0]["state"], "undelivered");
    Ok(())
}

#[tokio::test]
async fn an_event_that_is_given_up_is_not_finished() -> Result<()> {
    let Some((mut stack, millrace)) = stack().await? else {
        return Ok(());
    };
    stack.processors.kill()?;
    let mut load = millrace.command(&["load", "--events", "50", "--duplicates", "0", "--json"]);
    let load = load.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    let length = || redis_cli(stack.redis.url(), &["XLEN", "events.normalized"]).ok();
    eventually("all to be normalised", SOON, || {
        (length()? == "50").then_some(())
    })?;
    // In the place of the worker that is not there: one is given up, the others are done.
    let script = r"
        local entries = redis.call('XREADGROUP', 'GROUP', 'event-processors', 'test', 'COUNT', 50,
            'STREAMS', 'events.normalized', '>')[1][2]
        redis.call('XADD', 'events.normalized.dlq', '*', unpack(entries[7][2]))
        for _, entry in ipairs(entries) do
            redis.call('XACK', 'events.normalized', 'event-processors', entry[1])
        end
    ";
    redis_cli(stack.redis.url(), &["EVAL", script, "0"])?;
    let output = load.wait_with_output()?;
    let report: Value = serde_json::from_slice(&output.stdout)?;
    let end = &report["end_to_end"];
    assert_eq!(
        (&end["dead"], &end["lost"]),
        (&json!(1), &json!(0)),
        "{end}"
    );
    assert_eq!(output.status.code(), Some(1));
    Ok(())
}

#[tokio::test]
async fn a_signal_ends_the_sending_and_the_report_is_of_what_was_sent() -> Result<()> {
    let Some((stack, millrace)) = stack().await? else {
        return Ok(());
    };
    let mut load = millrace.command(&["load", "--rate", "100", "--duration", "10m", "--json"]);
    let load = load.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    let length = || redis_cli(stack.redis.url(), &["XLEN", "events.raw"]).ok();
    eventually("the first events", SOON, || {
        (length()? != "0").then_some(())
    })?;
    redis_cli(stack.redis.url(), &["PING"])?;
    let kill = ["-c", r#"kill -s INT "$1""#, "kill", &load.id().to_string()];
    assert!(
        std::process::Command::new("bash")
            .args(kill)
            .status()?
            .success()
    );
    let output = load.wait_with_output()?;
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let report: Value = serde_json::from_slice(&output.stdout)?;
    let end = &report["end_to_end"];
    assert!(number(&report["sent"]) > 0 && number(&report["sent"]) < 50_000);
    assert_eq!(
        (&end["finished"], &report["not_sent_in_time"]),
        (&end["accepted"], &json!(0))
    );
    Ok(())
}

#[tokio::test]
async fn a_service_that_comes_late_gets_every_event_all_the_same() -> Result<()> {
    let Some((mut stack, millrace)) = stack().await? else {
        return Ok(());
    };
    stack.ingestion.kill()?;
    // Something else is there first, and hangs up at once.
    let listener = TcpListener::bind(&stack.api)?;
    let mut load = millrace.command(&["load", "--events", "200", "--json"]);
    let mut load = load.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    drop(listener.accept()?);
    drop(listener);
    stack.replace_ingestion()?;
    assert!(eventually("the end", SOON, || load.try_wait().ok()?)?.success());
    let report: Value = serde_json::from_slice(&load.wait_with_output()?.stdout)?;
    assert_eq!(
        (&report["sent"], &report["unanswered"]),
        (&json!(200), &json!(0))
    );
    assert!(number(&report["requests_retried"]) > 0, "{report}");
    Ok(())
}

#[tokio::test]
async fn what_waits_behind_a_slow_answer_is_late_by_the_schedule() -> Result<()> {
    let Some((mut stack, millrace)) = stack().await? else {
        return Ok(());
    };
    let arguments = [
        "load",
        "--rate",
        "200",
        "--duration",
        "3s",
        "--connections",
        "1",
        "--json",
    ];
    let mut load = millrace.command(&arguments);
    let load = load.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    let length = || redis_cli(stack.redis.url(), &["XLEN", "events.raw"]).ok();
    eventually("the first events", SOON, || {
        (length()? != "0").then_some(())
    })?;
    stack.ingestion.pause()?;
    let paused = Instant::now();
    let is_long = || (paused.elapsed() >= Duration::from_millis(1_500)).then_some(());
    eventually("the service to hang for so long", SOON, is_long)?;
    stack.ingestion.resume()?;
    let report: Value = serde_json::from_slice(&load.wait_with_output()?.stdout)?;
    // One request hung, and half of the others were due while it did.
    let p90 = report["http_ms"]["p90"].as_f64().expect("a number");
    assert!(p90 > 500.0, "{report}");
    Ok(())
}

#[tokio::test]
async fn what_was_accepted_before_the_service_went_is_followed_to_its_end() -> Result<()> {
    let Some((mut stack, millrace)) = stack().await? else {
        return Ok(());
    };
    // Nobody reads the events before the service is gone.
    stack.processors.pause()?;
    let arguments = [
        "load",
        "--rate",
        "1000",
        "--give-up-after",
        "300ms",
        "--json",
    ];
    let mut load = millrace.command(&arguments);
    let load = load.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    let length = || redis_cli(stack.redis.url(), &["XLEN", "events.normalized"]).ok();
    eventually("some events", SOON, || (length()? != "0").then_some(()))?;
    stack.ingestion.terminate(SOON)?;
    stack.processors.resume()?;
    let mut another = stack.another("ingestion", &[("INGESTION_ROLE", "normalizer")])?;
    let output = load.wait_with_output()?;
    another.kill()?;
    assert_eq!(output.status.code(), Some(1));
    assert!(
        String::from_utf8_lossy(&output.stderr).contains("gave up"),
        "{output:?}"
    );
    let report: Value = serde_json::from_slice(&output.stdout)?;
    let end = &report["end_to_end"];
    assert!(
        number(&end["accepted"]) > 0 && number(&report["unanswered"]) > 0,
        "{report}"
    );
    assert_eq!(end["lost"], 0, "{report}");
    Ok(())
}

#[test]
fn nothing_is_sent_to_another_machine_by_accident() {
    for url in ["http://192.0.2.1:8080", "https://events.example.com"] {
        let ran = Millrace::default().run(&["load", "--url", url, "--no-end-to-end"]);
        assert_eq!(ran.code(), Some(64));
        assert!(ran.stderr().contains("--allow-remote"), "{}", ran.stderr());
    }
    let arguments = ["load", "--url", "http://127.0.0.1:9", "--events", "1"];
    let ran = Millrace::default().run(
        &[
            &arguments[..],
            &["--no-end-to-end", "--give-up-after", "200ms", "--json"],
        ]
        .concat(),
    );
    assert_eq!(ran.code(), Some(1));
    assert!(ran.stderr().contains("gave up"), "{}", ran.stderr());
    assert_eq!(
        (&ran.object()["unanswered"], &ran.object()["end_to_end"]),
        (&json!(1), &Value::Null)
    );
}

#[test]
fn a_bus_that_does_not_answer_is_said_before_anything_is_sent() {
    let millrace = Millrace::default().with("REDIS_URL", "redis://127.0.0.1:9");
    let ran = millrace.run(&["load", "--url", "http://127.0.0.1:9", "--events", "1"]);
    assert_eq!((ran.code(), ran.stdout().as_str()), (Some(1), ""));
    assert!(ran.stderr().contains("--no-end-to-end"), "{}", ran.stderr());
}
