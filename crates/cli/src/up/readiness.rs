//! Who is ready.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use anyhow::Context as _;
use reqwest::Client;

use crate::http;

/// How often a worker is asked.
const INTERVAL: Duration = Duration::from_millis(200);
/// How long an answer may take.
const ANSWER_MAX: Duration = Duration::from_secs(2);

/// Which workers are ready, as their `/ready` says.
#[derive(Debug)]
pub(super) struct Readiness {
    ready: Mutex<BTreeMap<&'static str, bool>>,
    client: Client,
}

impl Readiness {
    /// Nobody is ready.
    pub(super) fn new(names: impl Iterator<Item = &'static str>) -> anyhow::Result<Self> {
        let client = http::local_client().timeout(ANSWER_MAX).build();
        Ok(Self {
            ready: Mutex::new(names.map(|name| (name, false)).collect()),
            client: client.context("setting up an HTTP client")?,
        })
    }

    /// Waits until a worker says that it is ready. Gives whether it is the last one.
    pub(super) async fn wait(&self, name: &'static str, ops_address: SocketAddr) -> bool {
        let url = format!("http://{ops_address}/ready");
        loop {
            // No answer means: not yet.
            let answer = self.client.get(&url).send().await;
            if answer.is_ok_and(|answer| answer.status().is_success()) {
                return self.set(name, true);
            }
            tokio::time::sleep(INTERVAL).await;
        }
    }

    /// Notes that a worker has ended.
    pub(super) fn ended(&self, name: &'static str) {
        self.set(name, false);
    }

    /// Gives whether all are ready now.
    fn set(&self, name: &'static str, ready: bool) -> bool {
        let mut all = self.ready.lock().unwrap_or_else(PoisonError::into_inner);
        all.insert(name, ready);
        all.values().all(|&ready| ready)
    }
}
