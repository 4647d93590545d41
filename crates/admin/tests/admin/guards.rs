//! Who may come in, and what other sites cannot make a browser do.

use anyhow::{Context as _, Result};
use testkit::servers::{HttpAnswer, http_send};

use crate::bench::{Bench, TOPIC, code_of};

const TOKEN: [(&str, &str); 1] = [("ADMIN_TOKEN", "the-token")];
/// `anybody:the-token`
const BASIC: (&str, &str) = ("Authorization", "Basic YW55Ym9keTp0aGUtdG9rZW4=");
const BEARER: (&str, &str) = ("Authorization", "Bearer the-token");
const JSON: (&str, &str) = ("Content-Type", "application/json");

#[tokio::test]
async fn a_person_with_a_browser_is_asked_for_the_token_and_comes_in_with_it() -> Result<()> {
    let Some(bench) = Bench::start(&TOKEN)? else {
        return Ok(());
    };
    let get = |path, headers: &[_]| http_send(&bench.api, ("GET", path), headers, b"");
    for path in ["/", "/style.css", "/api/audit", "/dead-letters/events.raw"] {
        let refused = get(path, &[])?;
        assert_eq!(code_of(&refused, 401)?, "unknown_token");
        let asked = refused
            .header("WWW-Authenticate")
            .context("nobody is asked")?;
        assert!(asked.starts_with("Basic realm="), "{asked}");
        for shown in [BASIC, BEARER] {
            assert_eq!(get(path, &[shown])?.status, 200, "{path} {shown:?}");
        }
        // `the-token:anybody`
        let wrong = ("Authorization", "Basic dGhlLXRva2VuOmFueWJvZHk=");
        assert_eq!(get(path, &[wrong])?.status, 401);
    }
    Ok(())
}

#[tokio::test]
async fn another_site_cannot_decide_on_letters() -> Result<()> {
    let Some(bench) = Bench::start(&TOKEN)? else {
        return Ok(());
    };
    let ids = bench.give_up(&["hopeless"]).await?;
    let path = format!("/api/dead-letters/{}/discard", TOPIC.name);
    let body = format!(r#"{{"ids": {ids:?}}}"#);
    let post = |headers: &[_]| bench.send(&path, headers, body.as_bytes());
    for (headers, status, code) in [
        (vec![JSON], 401, "unknown_token"),
        (vec![BASIC], 415, "unsupported_media_type"),
        (
            vec![BASIC, ("Content-Type", "text/plain")],
            415,
            "unsupported_media_type",
        ),
        (
            vec![BASIC, ("Content-Type", "application/x-www-form-urlencoded")],
            415,
            "unsupported_media_type",
        ),
        (
            vec![BASIC, JSON, ("Sec-Fetch-Site", "cross-site")],
            403,
            "other_site",
        ),
        (
            vec![BASIC, JSON, ("Sec-Fetch-Site", "same-site")],
            403,
            "other_site",
        ),
    ] {
        assert_eq!(code_of(&post(&headers)?, status)?, code, "{headers:?}");
    }
    let own = post(&[BASIC, JSON, ("Sec-Fetch-Site", "same-origin")])?;
    assert_eq!(own.status, 200, "{own:?}");
    assert!(
        own.body.contains(r#""discarded":1"#),
        "nothing was discarded before: {own:?}"
    );
    Ok(())
}

#[tokio::test]
async fn without_a_token_a_name_that_somebody_gave_this_machine_is_not_answered() -> Result<()> {
    let Some(open) = Bench::start(&[])? else {
        return Ok(());
    };
    let Some(guarded) = Bench::start(&TOKEN)? else {
        return Ok(());
    };
    // The client sends the address as another Host header; what is said of the first is enough.
    let get = |bench: &Bench, host: &str| -> Result<HttpAnswer> {
        let host = [("Host", host), BEARER];
        http_send(&bench.api, ("GET", "/api/audit"), &host, b"")
    };
    for host in [
        "evil.example",
        "evil.example:8090",
        "127.0.0.1.evil.example",
        "@",
    ] {
        assert_eq!(code_of(&get(&open, host)?, 421)?, "unknown_host", "{host}");
        assert_eq!(get(&guarded, host)?.status, 200, "{host}");
    }
    for host in ["localhost:8090", "127.0.0.1", "[::1]:8090"] {
        assert_eq!(get(&open, host)?.status, 200, "{host}");
    }
    Ok(())
}

#[tokio::test]
async fn every_answer_forbids_scripts_frames_and_guessing() -> Result<()> {
    let Some(bench) = Bench::start(&[])? else {
        return Ok(());
    };
    for path in ["/", "/style.css", "/api/audit", "/nowhere"] {
        let answer = bench.get(path)?;
        let policy = answer
            .header("Content-Security-Policy")
            .context("no policy")?;
        assert!(
            policy.starts_with("default-src 'none'; style-src 'self'"),
            "{policy}"
        );
        assert!(policy.contains("frame-ancestors 'none'"), "{policy}");
        assert_eq!(answer.header("X-Content-Type-Options"), Some("nosniff"));
        assert_eq!(answer.header("Cache-Control"), Some("no-store"));
    }
    Ok(())
}
