//! What the service answers, and what that means.

use std::time::Duration;

use reqwest::StatusCode;
use reqwest::header::{HeaderMap, RETRY_AFTER};
use serde::Deserialize;

/// The longest wait that a service may ask for.
const RETRY_AFTER_MAX: Duration = Duration::from_mins(1);

/// The answer to a batch.
#[derive(Debug, Deserialize)]
pub(super) struct Results {
    /// In the order of the events.
    pub(super) results: Vec<EventResult>,
}

/// The answer to an event.
#[derive(Debug, Deserialize)]
pub(super) struct EventResult {
    pub(super) status: EventStatus,
    #[serde(default)]
    pub(super) reason: String,
    #[serde(default)]
    pub(super) message: String,
}

/// What became of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum EventStatus {
    /// It is durable.
    Accepted,
    /// It was accepted before.
    Duplicate,
    /// It does not count.
    Rejected,
}

/// An error answer: a problem document of RFC 9457, or whatever a proxy says.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(super) struct Problem {
    #[serde(default)]
    pub(super) code: String,
    #[serde(default)]
    pub(super) detail: String,
}

impl Problem {
    /// Reads the body of an error answer.
    pub(super) fn of(status: StatusCode, body: &[u8]) -> Self {
        let mut problem: Self = serde_json::from_slice(body).unwrap_or(Self {
            code: String::new(),
            detail: String::new(),
        });
        if problem.code.is_empty() {
            problem.code = format!("http_{}", status.as_u16());
        }
        if problem.detail.is_empty() {
            let reason = status.canonical_reason();
            problem.detail = String::from(reason.unwrap_or("no reason given"));
        }
        problem
    }
}

/// What to do after an answer of that status.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Meaning {
    /// Read the results.
    Answered,
    /// Send the same again, later.
    Later,
    /// Something in the request is wrong: find out which event by halving.
    Halve,
    /// Sending anything else has the same end.
    Refused,
}

/// What a status means for a sender whose events may come twice without harm.
pub(super) fn meaning(status: StatusCode) -> Meaning {
    match status.as_u16() {
        200..300 => Meaning::Answered,
        408 | 425 | 429 | 500..600 => Meaning::Later,
        400 | 413 | 422 => Meaning::Halve,
        _ => Meaning::Refused,
    }
}

/// How long the service asks to wait, in seconds; a date is not understood.
pub(super) fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds = headers
        .get(RETRY_AFTER)?
        .to_str()
        .ok()?
        .trim()
        .parse()
        .ok()?;
    Some(Duration::from_secs(seconds).min(RETRY_AFTER_MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_pass_is_waited_for_and_what_does_not_pass_ends_the_sending() {
        for (status, expected) in [
            (202, Meaning::Answered),
            (301, Meaning::Refused),
            (400, Meaning::Halve),
            (401, Meaning::Refused),
            (404, Meaning::Refused),
            (413, Meaning::Halve),
            (429, Meaning::Later),
            (500, Meaning::Later),
            (503, Meaning::Later),
        ] {
            let status = StatusCode::from_u16(status).expect("a status");
            assert_eq!(meaning(status), expected, "{status}");
        }
    }

    #[test]
    fn problems_have_a_code_whoever_answers() {
        let status = StatusCode::BAD_GATEWAY;
        let problem = Problem::of(status, br#"{"code":"backlog_full","detail":"later"}"#);
        assert_eq!(
            (problem.code.as_str(), problem.detail.as_str()),
            ("backlog_full", "later")
        );
        let problem = Problem::of(status, b"<html>");
        assert_eq!(
            (problem.code.as_str(), problem.detail.as_str()),
            ("http_502", "Bad Gateway")
        );
    }

    #[test]
    fn the_service_says_in_seconds_how_long_to_wait() {
        for (value, expected) in [
            ("3", Some(Duration::from_secs(3))),
            ("99999", Some(RETRY_AFTER_MAX)),
            ("soon", None),
        ] {
            let value = value.parse().expect("a header value");
            assert_eq!(
                retry_after(&HeaderMap::from_iter([(RETRY_AFTER, value)])),
                expected
            );
        }
    }
}
