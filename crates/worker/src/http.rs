//! What the HTTP servers of all workers share: problem documents, and the rule of who may listen.

use std::net::SocketAddr;

use axum::Json;
use axum::http::StatusCode;
use axum::http::header::{CONTENT_TYPE, HeaderMap, HeaderName, RETRY_AFTER};
use axum::response::{IntoResponse, Response};
use serde_json::json;

use crate::failure::ConfigError;

/// An error answer, RFC 9457. `code` is stable; clients decide by it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The HTTP status.
    pub status: StatusCode,
    /// The stable code.
    pub code: &'static str,
    /// What is wrong, and what is allowed.
    pub detail: String,
    /// Seconds after which the same request may succeed.
    pub retry_after_seconds: Option<u32>,
}

impl Problem {
    /// A problem that does not go away by waiting.
    pub fn new(status: StatusCode, code: &'static str, detail: impl Into<String>) -> Self {
        Self {
            status,
            code,
            detail: detail.into(),
            retry_after_seconds: None,
        }
    }

    /// 503: the same request may succeed later.
    pub fn unavailable(code: &'static str, detail: impl Into<String>, seconds: u32) -> Self {
        let status = StatusCode::SERVICE_UNAVAILABLE;
        Self {
            status,
            code,
            detail: detail.into(),
            retry_after_seconds: Some(seconds),
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let title = self.status.canonical_reason().unwrap_or("Error");
        let body = json!({
            "type": "about:blank",
            "title": title,
            "status": self.status.as_u16(),
            "code": self.code,
            "detail": self.detail,
        });
        let mut response = (self.status, Json(body)).into_response();
        insert(
            response.headers_mut(),
            CONTENT_TYPE,
            "application/problem+json",
        );
        if let Some(seconds) = self.retry_after_seconds {
            insert(response.headers_mut(), RETRY_AFTER, &seconds.to_string());
        }
        response
    }
}

fn insert(headers: &mut HeaderMap, name: HeaderName, value: &str) {
    if let Ok(value) = value.parse() {
        headers.insert(name, value);
    }
}

/// Refuses to listen beyond this machine when anybody could come in.
pub fn check_bind(
    address: SocketAddr,
    guarded: bool,
    address_variable: &str,
    guard_variable: &str,
) -> Result<(), ConfigError> {
    if guarded || address.ip().is_loopback() {
        return Ok(());
    }
    Err(ConfigError(format!(
        "{address_variable}: {address} can be reached from other machines; set {guard_variable} \
         or listen on a loopback address such as 127.0.0.1:{}",
        address.port()
    )))
}

/// The token of an `Authorization: Bearer` header.
pub fn bearer_token(headers: &HeaderMap) -> Option<&str> {
    let value = headers
        .get(axum::http::header::AUTHORIZATION)?
        .to_str()
        .ok()?;
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

/// Whether two secrets are the same, in a time that does not tell where they differ.
pub fn same_secret(given: &str, expected: &str) -> bool {
    let differing = given
        .bytes()
        .zip(expected.bytes())
        .fold(0, |differing, (a, b)| differing | (a ^ b));
    differing == 0 && given.len() == expected.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_open_address_needs_a_guard() {
        let check = |address: &str, guarded| {
            check_bind(address.parse().expect(address), guarded, "ADDRESS", "TOKEN").is_ok()
        };
        assert!(check("127.0.0.1:80", false) && check("[::1]:80", false));
        assert!(!check("0.0.0.0:80", false) && !check("192.0.2.1:80", false));
        assert!(check("0.0.0.0:80", true));
    }

    #[test]
    fn secrets_are_the_same_only_in_full() {
        assert!(same_secret("abc", "abc"));
        assert!(!same_secret("ab", "abc") && !same_secret("abd", "abc") && !same_secret("", "a"));
    }
}
