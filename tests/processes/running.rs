//! A worker's process with the address where it can be asked how it is.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context as _, Result};
use serde_json::Value;
use testkit::servers::{WorkerProcess, eventually, free_address, http_get};

/// The workers.
pub(crate) const WORKERS: [&str; 4] =
    ["ingestion", "event-processors", "admin", "feedback-flusher"];
/// What takes longer than this is taken to happen never; debug builds on a busy machine are slow.
pub(crate) const SOON: Duration = Duration::from_mins(1);
/// A database file in the worker's own folder.
pub(crate) const OWN_DATABASE: (&str, &str) = ("DATABASE_URL", "sqlite://own.db?mode=rwc");

/// A running worker.
#[derive(Debug)]
pub(crate) struct Running {
    pub(crate) process: WorkerProcess,
    pub(crate) ops: String,
    /// Where its API is, if it has one.
    pub(crate) api: String,
}

impl Running {
    /// Starts a worker on ports of its own.
    pub(crate) fn start(
        name: &str,
        arguments: &[&str],
        variables: &[(&str, &str)],
    ) -> Result<Self> {
        let (ops, api) = (free_address()?, free_address()?);
        let mut all = vec![
            ("OPS_ADDRESS", ops.as_str()),
            ("INGESTION_ADDRESS", &api),
            ("ADMIN_ADDRESS", &api),
        ];
        all.extend_from_slice(variables);
        let process = WorkerProcess::start(name, arguments, &all)?;
        Ok(Self { process, ops, api })
    }

    /// [`Running::start`], and it is ready.
    pub(crate) fn ready(name: &str, variables: &[(&str, &str)]) -> Result<Self> {
        let mut running = Self::start(name, &[], variables)?;
        running.process.wait_ready(&running.ops, SOON)?;
        Ok(running)
    }

    /// Waits until `/ready` says 503 and that it waits for this; gives why.
    pub(crate) fn waits_for(&self, what: &str) -> Result<String> {
        let why = eventually(&format!("it to wait for {what}"), SOON, || {
            self.waiting_for().ok()?.remove(what)
        });
        why.with_context(|| self.process.log())
    }

    /// What `/ready` says it waits for; an error when it is ready.
    pub(crate) fn waiting_for(&self) -> Result<BTreeMap<String, String>> {
        let answer = http_get(&self.ops, "/ready")?;
        anyhow::ensure!(answer.status == 503, "{answer:?}");
        let body: Value = serde_json::from_str(&answer.body)?;
        let reasons = body.get("waiting_for").context("no reasons")?;
        Ok(serde_json::from_value(reasons.clone())?)
    }

    /// Waits until it has said this.
    pub(crate) fn says(&self, text: &str) -> Result<()> {
        let said = eventually(&format!("it to say {text:?}"), SOON, || {
            self.process.log().contains(text).then_some(())
        });
        said.with_context(|| self.process.log())
    }

    /// Waits for its end and gives its exit code; none after a signal that it did not catch.
    pub(crate) fn exit_code(&mut self) -> Result<Option<i32>> {
        Ok(self.process.wait(SOON)?.code())
    }
}
