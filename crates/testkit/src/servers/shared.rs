//! The one server of its kind that all tests of a process use.

use std::sync::OnceLock;

use anyhow::{Result, anyhow};

use super::local_server::LocalServer;

/// A static of each kind of server; found at the first call, for the life of the process. A server
/// that cannot be had is not tried again.
pub(super) struct SharedServer(OnceLock<Result<Shared, String>>);

pub(super) enum Shared {
    /// The URL of a server that a developer named.
    Named(String),
    /// Started here.
    Own(LocalServer),
}

impl SharedServer {
    pub(super) const fn new() -> Self {
        Self(OnceLock::new())
    }

    pub(super) fn url(&self, find: impl FnOnce() -> Result<Shared>) -> Result<&str> {
        let shared = self
            .0
            .get_or_init(|| find().map_err(|error| format!("{error:#}")));
        match shared {
            Ok(Shared::Named(url)) => Ok(url),
            Ok(Shared::Own(server)) => Ok(server.url()),
            Err(message) => Err(anyhow!("{message}")),
        }
    }
}
