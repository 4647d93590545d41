//! `/metrics` is Prometheus text with the series of what runs in the process.

use anyhow::Result;
use testkit::servers::{eventually, http_get, http_post, redis_database};

use crate::running::{Running, SOON};
use tests::sqlite;

const EVENTS: &str = r#"{"batch":[
    {"brand_id":"shop","event_type":"page_view","payload":{"user_id":"u1"}},
    {"brand_id":"shop","event_type":"page_view","payload":{"user_id":"u2"}},
    {"brand_id":"shop","event_type":"page_view","payload":{"user_id":"u3"}}
]}"#;

/// The value of a series, if it is there.
fn value_of(metrics: &str, series: &str) -> Option<f64> {
    let line = metrics.lines().find_map(|line| line.strip_prefix(series))?;
    line.trim().parse().ok()
}

fn metrics(worker: &Running) -> Option<String> {
    let answer = http_get(&worker.ops, "/metrics").ok()?;
    let is_prometheus = answer.header("content-type") == Some("text/plain; version=0.0.4");
    (answer.status == 200 && is_prometheus).then_some(answer.body)
}

/// Waits until these series have these values.
fn shows(worker: &Running, expected: &[(&str, f64)]) -> Result<String> {
    eventually(&format!("{expected:?}"), SOON, || {
        let text = metrics(worker)?;
        expected
            .iter()
            .all(|(series, value)| value_of(&text, series) == Some(*value))
            .then_some(text)
    })
}

#[test]
fn the_way_of_events_can_be_followed_in_the_metrics() -> Result<()> {
    let Some(redis) = redis_database() else {
        return Ok(());
    };
    let sql = sqlite()?;
    let url = sql.url();
    let variables = [("REDIS_URL", redis.url()), ("DATABASE_URL", url.as_str())];
    let ingestion = Running::ready("ingestion", &variables)?;
    let processors = Running::ready("event-processors", &variables)?;
    let answer = http_post(&ingestion.api, "/v1/events", EVENTS.as_bytes())?;
    assert_eq!(answer.status, 202, "{answer:?}");

    let raw = r#"{topic="events.raw",group="normalizers"}"#;
    let normalized = r#"{topic="events.normalized",group="event-processors"}"#;
    let text = shows(
        &ingestion,
        &[
            (r#"millrace_bus_published_total{topic="events.raw"}"#, 3.0),
            (&format!("millrace_bus_done_total{raw}"), 3.0),
            (&format!("millrace_bus_batch_messages_sum{raw}"), 3.0),
            (&format!("millrace_bus_backlog_messages{raw}"), 0.0),
        ],
    )?;
    assert!(text.contains(r#"millrace_stage_process_seconds_bucket{stage="normalizers""#));
    let text = shows(
        &processors,
        &[
            (&format!("millrace_bus_done_total{normalized}"), 3.0),
            (&format!("millrace_bus_backlog_messages{normalized}"), 0.0),
        ],
    )?;
    assert!(
        text.contains("# TYPE millrace_bus_done_total counter"),
        "{text}"
    );
    for line in text
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
    {
        let value = line.rsplit(' ').next().unwrap_or_default();
        assert!(value.parse::<f64>().is_ok(), "{line}");
    }
    Ok(())
}
