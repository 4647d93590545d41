//! Who may come in: senders with a key, operators with the token.

use anyhow::{Context as _, Result};
use serde_json::Value;
use testkit::servers::{HttpAnswer, http_send, redis_database};

use crate::running::{OWN_DATABASE, Running};

const EVENT: &[u8] = br#"{"brand_id":"shop","event_type":"page_view","payload":{"user_id":"u1"}}"#;

fn post(worker: &Running, headers: &[(&str, &str)]) -> Result<HttpAnswer> {
    http_send(&worker.api, ("POST", "/v1/events"), headers, EVENT)
}

fn code_of(answer: &HttpAnswer) -> Result<String> {
    assert_eq!(
        answer.header("content-type"),
        Some("application/problem+json")
    );
    let problem: Value = serde_json::from_str(&answer.body)?;
    let code = problem.get("code").and_then(Value::as_str);
    Ok(code.context("a problem without a code")?.to_owned())
}

#[test]
fn events_are_accepted_with_one_of_the_keys_only() -> Result<()> {
    let Some(redis) = redis_database() else {
        return Ok(());
    };
    let keys = ("INGESTION_API_KEYS", "one-key, another-key");
    let worker = Running::ready(
        "ingestion",
        &[("REDIS_URL", redis.url()), OWN_DATABASE, keys],
    )?;
    for headers in [
        &[][..],
        &[("Authorization", "Bearer")],
        &[("Authorization", "Bearer ")],
        &[("Authorization", "Bearer one-ke")],
        &[("Authorization", "Bearer one-keyy")],
        &[("Authorization", "Bearer one-key, another-key")],
        &[("Authorization", "Basic one-key")],
        &[("Authorization", "one-key")],
    ] {
        let answer = post(&worker, headers)?;
        assert_eq!(answer.status, 401, "{headers:?}: {answer:?}");
        assert_eq!(code_of(&answer)?, "unknown_key");
    }
    for authorization in ["Bearer one-key", "bearer another-key"] {
        let answer = post(&worker, &[("Authorization", authorization)])?;
        assert_eq!(answer.status, 202, "{authorization}: {answer:?}");
    }
    Ok(())
}

#[test]
fn without_keys_everybody_on_this_machine_may_send() -> Result<()> {
    let Some(redis) = redis_database() else {
        return Ok(());
    };
    let worker = Running::ready("ingestion", &[("REDIS_URL", redis.url()), OWN_DATABASE])?;
    assert_eq!(post(&worker, &[])?.status, 202);
    assert_eq!(
        post(&worker, &[("Authorization", "Bearer any")])?.status,
        202
    );
    Ok(())
}

#[test]
fn the_admin_api_is_shown_with_the_token_only() -> Result<()> {
    let Some(redis) = redis_database() else {
        return Ok(());
    };
    let token = ("ADMIN_TOKEN", "the-token");
    let worker = Running::ready("admin", &[("REDIS_URL", redis.url()), OWN_DATABASE, token])?;
    let get = |path, headers: &[(&str, &str)]| http_send(&worker.api, ("GET", path), headers, b"");
    // Who may not come in does not learn which paths there are.
    for path in ["/api/streams/info", "/nowhere"] {
        for headers in [&[][..], &[("Authorization", "Bearer the-toke")]] {
            let answer = get(path, headers)?;
            assert_eq!(answer.status, 401, "{path} {headers:?}: {answer:?}");
            assert_eq!(code_of(&answer)?, "unknown_token");
        }
    }
    let shown = [("Authorization", "Bearer the-token")];
    assert_eq!(get("/api/streams/info", &shown)?.status, 200);
    assert_eq!(get("/nowhere", &shown)?.status, 404);
    Ok(())
}
