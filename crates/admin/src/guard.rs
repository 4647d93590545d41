//! Who may come in, and by which way.

use std::net::IpAddr;
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::header::{
    AUTHORIZATION, CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HOST, HeaderMap,
    HeaderName, HeaderValue, REFERRER_POLICY, WWW_AUTHENTICATE, X_CONTENT_TYPE_OPTIONS,
};
use axum::http::uri::Authority;
use axum::http::{Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use worker::http::{Problem, bearer_token, same_secret};

/// The token, if one is set.
type Token = Option<Arc<str>>;

/// Nothing is loaded from elsewhere, nothing is run, nothing is sent, and nobody frames the pages.
const CONTENT_POLICY: &str = "default-src 'none'; style-src 'self'; img-src data:; \
     base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// Lets in who shows the token: programs as a bearer token, browsers as the password of any user.
pub(crate) async fn check_token(
    State(token): State<Token>,
    request: Request,
    next: Next,
) -> Response {
    let known = match &token {
        Some(token) => shows(request.headers(), token),
        None => true,
    };
    if known {
        return next.run(request).await;
    }
    let detail = "send the header 'Authorization: Bearer <token>' with the admin token, or the \
                  token as the password of any user";
    let mut response =
        Problem::new(StatusCode::UNAUTHORIZED, "unknown_token", detail).into_response();
    let schemes = HeaderValue::from_static("Basic realm=\"Millrace\", charset=\"UTF-8\", Bearer");
    response.headers_mut().insert(WWW_AUTHENTICATE, schemes);
    response
}

fn shows(headers: &HeaderMap, token: &str) -> bool {
    let bearer = bearer_token(headers).is_some_and(|given| same_secret(given, token));
    bearer || basic_password(headers).is_some_and(|given| same_secret(&given, token))
}

/// The password of an `Authorization: Basic` header (RFC 7617).
fn basic_password(headers: &HeaderMap) -> Option<String> {
    let value = headers.get(AUTHORIZATION)?.to_str().ok()?;
    let (scheme, credentials) = value.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let decoded = String::from_utf8(STANDARD.decode(credentials.trim()).ok()?).ok()?;
    decoded
        .split_once(':')
        .map(|(_, password)| password.to_owned())
}

/// Without a token everybody on this machine may come in, but not every page that a browser on this
/// machine shows: a site can give its own name this machine's address, and is told by that name.
pub(crate) async fn check_host(
    State(token): State<Token>,
    request: Request,
    next: Next,
) -> Response {
    if token.is_some() || hosts(&request).all(|host| is_machine(&host)) {
        return next.run(request).await;
    }
    let detail = "without ADMIN_TOKEN this is shown under an IP address or localhost only";
    Problem::new(StatusCode::MISDIRECTED_REQUEST, "unknown_host", detail).into_response()
}

/// The hosts that a request names; what cannot be read is no name of this machine.
fn hosts(request: &Request) -> impl Iterator<Item = String> {
    let named = request.headers().get_all(HOST).iter().map(|value| {
        let authority = value
            .to_str()
            .ok()
            .and_then(|text| text.parse::<Authority>().ok());
        authority.map_or_else(String::new, |authority| authority.host().to_owned())
    });
    named.chain(request.uri().host().map(str::to_owned))
}

fn is_machine(host: &str) -> bool {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    host.eq_ignore_ascii_case("localhost") || bare.parse::<IpAddr>().is_ok()
}

/// A browser sends what it knows of a user also when another site asks it to. Such a site can
/// neither send JSON nor hide that it is another one.
pub(crate) async fn refuse_other_sites(request: Request, next: Next) -> Response {
    if matches!(
        *request.method(),
        Method::GET | Method::HEAD | Method::OPTIONS
    ) {
        return next.run(request).await;
    }
    if !is_own_site(request.headers()) {
        let detail = "requests that change something are not taken from other sites";
        return Problem::new(StatusCode::FORBIDDEN, "other_site", detail).into_response();
    }
    if !is_json(request.headers()) {
        let detail = "send the header 'Content-Type: application/json'";
        let status = StatusCode::UNSUPPORTED_MEDIA_TYPE;
        return Problem::new(status, "unsupported_media_type", detail).into_response();
    }
    next.run(request).await
}

/// Programs that are no browsers do not send the header (Fetch Metadata).
fn is_own_site(headers: &HeaderMap) -> bool {
    let mut sites = headers.get_all("sec-fetch-site").iter();
    sites.all(|site| site == "same-origin" || site == "none")
}

fn is_json(headers: &HeaderMap) -> bool {
    let value = headers
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok());
    let kind = value
        .unwrap_or_default()
        .split(';')
        .next()
        .unwrap_or_default();
    kind.trim().eq_ignore_ascii_case("application/json")
}

/// Adds what every answer says to browsers.
pub(crate) async fn add_headers(mut response: Response) -> Response {
    let all: [(HeaderName, &'static str); 4] = [
        (CONTENT_SECURITY_POLICY, CONTENT_POLICY),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (REFERRER_POLICY, "no-referrer"),
        (CACHE_CONTROL, "no-store"),
    ];
    for (name, value) in all {
        response
            .headers_mut()
            .insert(name, HeaderValue::from_static(value));
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(name: HeaderName, value: &str) -> HeaderMap {
        HeaderMap::from_iter([(name, value.parse().expect(value))])
    }

    #[test]
    fn the_token_is_a_bearer_token_or_the_password_of_any_user() {
        let basic = |text: &str| format!("Basic {}", STANDARD.encode(text));
        for (value, known) in [
            ("Bearer the-token".to_owned(), true),
            ("bearer the-token".to_owned(), true),
            (basic("anybody:the-token"), true),
            (basic(":the-token"), true),
            (basic("the-token:"), false),
            (basic("the-token"), false),
            (basic("a:the-token:"), false),
            ("Basic ???".to_owned(), false),
            ("Digest the-token".to_owned(), false),
        ] {
            assert_eq!(
                shows(&headers(AUTHORIZATION, &value), "the-token"),
                known,
                "{value}"
            );
        }
        assert!(!shows(&HeaderMap::new(), "the-token"));
    }

    #[test]
    fn this_machine_is_named_by_address_or_as_localhost() {
        for (host, expected) in [
            ("127.0.0.1", true),
            ("[::1]", true),
            ("LocalHost", true),
            ("192.0.2.7", true),
            ("localhost.evil.example", false),
            ("127.0.0.1.evil.example", false),
            ("evil.example", false),
            ("", false),
        ] {
            assert_eq!(is_machine(host), expected, "{host}");
        }
    }

    #[test]
    fn only_one_s_own_pages_and_programs_change_something() {
        let site = HeaderName::from_static("sec-fetch-site");
        for (value, own) in [
            ("same-origin", true),
            ("none", true),
            ("same-site", false),
            ("cross-site", false),
        ] {
            assert_eq!(is_own_site(&headers(site.clone(), value)), own, "{value}");
        }
        assert!(is_own_site(&HeaderMap::new()));
        for (kind, json) in [
            ("application/json", true),
            ("Application/JSON; charset=utf-8", true),
            ("text/plain", false),
            ("application/json-patch+json", false),
            ("text/plain; application/json", false),
        ] {
            assert_eq!(is_json(&headers(CONTENT_TYPE, kind)), json, "{kind}");
        }
    }
}
