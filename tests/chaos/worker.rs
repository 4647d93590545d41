//! One worker of the deployment, which may be killed, armed and replaced.

use std::os::unix::process::ExitStatusExt as _;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use testkit::servers::{WorkerProcess, eventually, free_address};

/// How long a worker may take to be ready; debug builds on a busy machine are slow.
const READY: Duration = Duration::from_mins(1);
/// How long an armed worker may take to come to its point, and a stopped one to end.
const END: Duration = Duration::from_mins(1);
const SIGABRT: i32 = 6;

/// What a worker of the deployment does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Role {
    /// Takes events in.
    Api,
    /// Normalises them.
    Normalizer,
    /// Applies them.
    Processor,
    /// Batches feedback and keeps it.
    Flusher,
}

impl Role {
    /// Those of the flow of events.
    pub(crate) const OF_EVENTS: [Self; 3] = [Self::Api, Self::Normalizer, Self::Processor];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Api => "api",
            Self::Normalizer => "normalizer",
            Self::Processor => "event-processors",
            Self::Flusher => "feedback-flusher",
        }
    }

    fn binary(self) -> &'static str {
        match self {
            Self::Api | Self::Normalizer => "ingestion",
            Self::Processor => "event-processors",
            Self::Flusher => "feedback-flusher",
        }
    }
}

/// A running worker. A replacement has the same addresses.
#[derive(Debug)]
pub(crate) struct Worker {
    pub(crate) role: Role,
    pub(crate) process: WorkerProcess,
    /// Where its API is, if it has one.
    pub(crate) api: String,
    ops: String,
    variables: Vec<(String, String)>,
}

impl Worker {
    /// Starts a worker; it is not ready yet.
    pub(crate) fn start(role: Role, variables: &[(String, String)]) -> Result<Self> {
        let (api, ops) = (free_address()?, free_address()?);
        let mut variables = variables.to_vec();
        variables.extend(
            [
                ("INGESTION_ADDRESS", api.as_str()),
                ("OPS_ADDRESS", &ops),
                ("INGESTION_ROLE", role.name()),
            ]
            .map(|(name, value)| (name.to_owned(), value.to_owned())),
        );
        let process = process(role, &variables, None)?;
        Ok(Self {
            role,
            process,
            api,
            ops,
            variables,
        })
    }

    pub(crate) fn wait_ready(&mut self) -> Result<()> {
        self.process.wait_ready(&self.ops, READY)
    }

    /// Starts another in its place, however it ended.
    pub(crate) fn replace(&mut self) -> Result<()> {
        self.process.kill()?;
        self.process = process(self.role, &self.variables, None)?;
        self.wait_ready()
    }

    /// Starts another in its place that will crash where it is told, as `<point>:<n>`.
    pub(crate) fn replace_armed(&mut self, crash_at: &str) -> Result<()> {
        self.replace_armed_with(crash_at, &[])
    }

    /// [`Worker::replace_armed`], with settings of its own.
    pub(crate) fn replace_armed_with(
        &mut self,
        crash_at: &str,
        settings: &[(&str, &str)],
    ) -> Result<()> {
        self.process.kill()?;
        let mut variables = self.variables.clone();
        let own = settings.iter();
        variables.extend(own.map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        self.process = process(self.role, &variables, Some(crash_at))?;
        let arming = format!("armed to crash at {crash_at}");
        let armed = eventually("the worker to say that it is armed", END, || {
            let log = self.process.log();
            (log.contains(&arming) || log.contains("crashing at")).then_some(())
        });
        armed.with_context(|| {
            format!(
                "this worker cannot be armed; build with --features tests/crash-points:\n{}",
                self.process.log()
            )
        })
    }

    /// Waits until an armed worker has crashed at its point, and nowhere else.
    pub(crate) fn wait_crashed(&mut self, crash_at: &str) -> Result<()> {
        let status = self.process.wait(END)?;
        let log = self.process.log();
        ensure!(
            status.signal() == Some(SIGABRT) && self.says_crashed(crash_at),
            "it did not crash at {crash_at} but ended, {status}: {log}"
        );
        Ok(())
    }

    /// Whether its log ends with its crash.
    pub(crate) fn says_crashed(&self, crash_at: &str) -> bool {
        let last_words = format!("crashing at {crash_at}");
        self.process.log().contains(&last_words)
    }

    /// Stops in good order and starts another.
    pub(crate) fn restart(&mut self) -> Result<()> {
        let status = self.process.terminate(END)?;
        if !status.success() {
            bail!("after SIGTERM it ended, {status}: {}", self.process.log());
        }
        self.replace()
    }

    /// The lines of its log that say that something is wrong.
    pub(crate) fn complaints(&self) -> Vec<String> {
        let log = self.process.log();
        let bad = log
            .lines()
            .filter(|line| line.contains("ERROR") || line.contains("WARN"));
        bad.map(|line| format!("{}: {line}", self.role.name()))
            .collect()
    }
}

fn process(
    role: Role,
    variables: &[(String, String)],
    crash_at: Option<&str>,
) -> Result<WorkerProcess> {
    let mut all: Vec<(&str, &str)> = variables
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .collect();
    all.extend(crash_at.map(|crash_at| (crash_points::VARIABLE, crash_at)));
    WorkerProcess::start(role.binary(), &[], &all)
}
