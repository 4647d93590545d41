//! The service that events are sent to.

use reqwest::Url;

/// Where the service is and what it wants to see.
#[derive(Debug, clap::Args)]
pub(crate) struct Service {
    /// The service
    #[arg(long, env = "INGESTION_URL", default_value = "http://127.0.0.1:8080", value_parser = parse_url)]
    pub(crate) url: Url,
    /// The service's API key
    #[arg(long, env = "INGESTION_API_KEY", hide_env_values = true)]
    api_key: Option<ApiKey>,
}

/// A key that is never printed.
#[derive(Clone)]
struct ApiKey(String);

impl std::fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ApiKey(…)")
    }
}

impl From<String> for ApiKey {
    fn from(key: String) -> Self {
        Self(key)
    }
}

impl Service {
    /// The API key; an empty one is none.
    pub(crate) fn api_key(&self) -> Option<&str> {
        let key = self.api_key.as_ref().map(|key| key.0.as_str());
        key.filter(|key| !key.is_empty())
    }
}

fn parse_url(text: &str) -> Result<Url, String> {
    let allowed = "allowed are URLs such as http://127.0.0.1:8080 or https://events.example.com";
    match Url::parse(text) {
        Ok(url) if matches!(url.scheme(), "http" | "https") && url.has_host() => Ok(url),
        Ok(_) => Err(allowed.to_owned()),
        Err(error) => Err(format!("{error}; {allowed}")),
    }
}
