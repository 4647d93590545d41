//! HTTP clients. The TLS provider is chosen here, once.

use reqwest::redirect::Policy;
use reqwest::{Client, ClientBuilder, Url};

/// A client for servers at a URL.
pub(crate) fn client_for(url: &Url) -> ClientBuilder {
    match (is_loopback(url), url.scheme()) {
        (true, "http") => local_client(),
        (false, "http") => plain_client(),
        _ => client(),
    }
}

/// Whether a URL names this machine.
pub(crate) fn is_loopback(url: &Url) -> bool {
    match url.host_str() {
        Some("localhost") => true,
        Some(host) => host
            .trim_matches(['[', ']'])
            .parse()
            .is_ok_and(|address: std::net::IpAddr| address.is_loopback()),
        None => false,
    }
}

/// A client for servers on this machine, whatever proxy the environment names.
pub(crate) fn local_client() -> ClientBuilder {
    plain_client().no_proxy()
}

/// Without TLS the system's certificates need not be there.
fn plain_client() -> ClientBuilder {
    client().tls_certs_only([])
}

fn client() -> ClientBuilder {
    // An error says that it was installed before.
    rustls::crypto::ring::default_provider()
        .install_default()
        .ok();
    Client::builder().redirect(Policy::none())
}
