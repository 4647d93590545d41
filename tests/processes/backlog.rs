//! A backlog that is full holds senders back, and goes away by itself.

use std::time::Duration;

use anyhow::Result;
use testkit::servers::{HttpAnswer, eventually, http_post, redis_database};
use tests::sqlite;

use crate::running::{Running, SOON};

const EVENT: &[u8] = br#"{"brand_id":"shop","event_type":"page_view","payload":{"user_id":"u1"}}"#;
/// How long a sender of the test sends at most until it is held back.
const FULL: Duration = Duration::from_secs(30);

fn post(worker: &Running) -> Result<HttpAnswer> {
    http_post(&worker.api, "/v1/events", EVENT)
}

fn answers(what: &str, worker: &Running, status: u16) -> Result<HttpAnswer> {
    eventually(what, FULL, || {
        post(worker).ok().filter(|answer| answer.status == status)
    })
}

#[test]
fn a_full_backlog_is_answered_with_503_and_a_time_until_it_has_been_worked_off() -> Result<()> {
    let Some(redis) = redis_database() else {
        return Ok(());
    };
    let sql = sqlite()?;
    let url = sql.url();
    let variables = |role| {
        [
            ("REDIS_URL", redis.url()),
            ("DATABASE_URL", url.as_str()),
            ("BACKLOG_MAX", "1"),
            ("INGESTION_ROLE", role),
        ]
    };
    let api = Running::ready("ingestion", &variables("api"))?;
    let first = post(&api)?;
    assert_eq!(first.status, 202);
    assert!(first.body.contains("accepted"), "{first:?}");
    let full = answers("the backlog to be full", &api, 503)?;
    assert_eq!(full.header("retry-after"), Some("1"), "{full:?}");
    assert_eq!(
        full.header("content-type"),
        Some("application/problem+json")
    );
    assert!(full.body.contains("backlog_full"), "{full:?}");
    assert!(api.process.log().contains("the backlog limit"));

    // The normalizer has the same limit: it must not wait for its own input to shrink.
    let mut normalizer = Running::ready("ingestion", &variables("normalizer"))?;
    let mut processors = Running::ready("event-processors", &variables("all"))?;
    answers("the backlog to be worked off", &api, 202)?;
    for worker in [&mut normalizer, &mut processors] {
        assert_eq!(worker.process.terminate(SOON)?.code(), Some(0));
    }
    Ok(())
}
