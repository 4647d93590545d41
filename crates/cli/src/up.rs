//! `millrace up`: every worker as a process of its own, on this machine.
//!
//! The workers are in process groups of their own, so that Ctrl-C reaches only `up`, which then
//! stops them in order. A worker that ends by itself is started again, except after exit code 64:
//! bad settings do not get better.

mod lines;
mod readiness;
mod supervisor;

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail};
use tokio::task::JoinSet;
use worker::{CancellationToken, EXIT_USAGE};

use crate::duration;
use crate::signals::Signals;
use lines::Printer;
use readiness::Readiness;
use supervisor::{End, Supervisor, Worker};

/// The workers, in the order of their ops ports.
const WORKERS: [&str; 4] = ["ingestion", "event-processors", "admin", "feedback-flusher"];
/// The highest base port that leaves a port for every worker.
const OPS_PORT_MAX: u16 = 65_000;

/// Start every worker on this machine, restart what ends, stop all on Ctrl-C
#[derive(Debug, clap::Args)]
pub(crate) struct Up {
    /// Start only these workers, separated by commas
    #[arg(long, value_delimiter = ',', value_parser = WORKERS)]
    only: Vec<String>,
    /// Port of /live, /ready and /metrics of the first worker; the others follow
    #[arg(long, env = "OPS_PORT", default_value_t = 9101, value_parser = clap::value_parser!(u16).range(1..=i64::from(OPS_PORT_MAX)))]
    ops_port: u16,
    /// How long the workers may take to stop
    #[arg(long, default_value = "25s", value_parser = duration::parse)]
    grace: Duration,
    /// Print worker names without colour
    #[arg(long, env = "NO_COLOR", value_parser = |text: &str| Ok::<bool, String>(!text.is_empty()), action = clap::ArgAction::SetTrue)]
    no_color: bool,
    /// The folder of the worker binaries, when it is not that of this one
    #[arg(long, hide = true)]
    bin_dir: Option<PathBuf>,
}

impl Up {
    pub(crate) async fn run(self) -> anyhow::Result<ExitCode> {
        let mut signals = Signals::catch().context("catching signals")?;
        let workers = self.workers()?;
        let names = workers.iter().map(|worker| worker.name);
        let (printer, printing) = Printer::start(names.clone(), self.no_color);
        let readiness = Arc::new(Readiness::new(names)?);
        let (stop, kill) = (CancellationToken::new(), CancellationToken::new());
        let mut supervisors = JoinSet::new();
        for worker in workers {
            let supervisor = Supervisor {
                worker,
                grace: self.grace,
                readiness: Arc::clone(&readiness),
                printer: printer.clone(),
                stop: stop.clone(),
                kill: kill.clone(),
            };
            supervisors.spawn(supervisor.run());
        }
        let mut all = All::Stopped;
        loop {
            tokio::select! {
                ended = supervisors.join_next() => match ended {
                    Some(ended) => {
                        all = all.and(ended.context("a supervisor panicked")?);
                        stop.cancel();
                    }
                    None => break,
                },
                signal = signals.next() => if stop.is_cancelled() {
                    printer.say(&format!("{signal} again: killing the workers")).await;
                    kill.cancel();
                } else {
                    printer.say(&format!("{signal}: stopping the workers; again to kill them")).await;
                    stop.cancel();
                },
            }
        }
        printer.say(all.text()).await;
        drop(printer);
        printing.finish().await;
        Ok(all.code())
    }

    fn workers(&self) -> anyhow::Result<Vec<Worker>> {
        let folder = match &self.bin_dir {
            Some(folder) => folder.clone(),
            None => std::env::current_exe()
                .context("finding this program")?
                .parent()
                .context("finding the folder of this program")?
                .to_owned(),
        };
        let mut workers = Vec::new();
        for (name, port) in WORKERS.into_iter().zip(self.ops_port..) {
            if !self.only.is_empty() && !self.only.iter().any(|only| only == name) {
                continue;
            }
            let program = folder.join(name);
            if !program.is_file() {
                bail!(
                    "the worker {name} is missing: there is no file {}",
                    program.display()
                );
            }
            let ops_address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
            // Whoever answers there would be taken for the worker.
            TcpListener::bind(ops_address).with_context(|| {
                format!(
                    "{name} cannot use {ops_address}; is another `millrace up` running? --ops-port \
                     (OPS_PORT) moves the ports"
                )
            })?;
            workers.push(Worker {
                name,
                program,
                ops_address,
            });
        }
        Ok(workers)
    }
}

/// How all workers together ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum All {
    Stopped,
    Unclean,
    BadSettings,
    CannotStart,
}

impl All {
    fn and(self, end: End) -> Self {
        match (self, end) {
            (Self::BadSettings, _) | (_, End::BadSettings) => Self::BadSettings,
            (Self::CannotStart, _) | (_, End::CannotStart) => Self::CannotStart,
            (Self::Unclean, _) | (_, End::Unclean) => Self::Unclean,
            (Self::Stopped, End::Stopped) => Self::Stopped,
        }
    }

    fn text(self) -> &'static str {
        match self {
            Self::Stopped => "all workers have stopped",
            Self::Unclean => "all workers have ended, not all of them cleanly: see above",
            Self::BadSettings => "stopped: a worker has settings that cannot be used, see above",
            Self::CannotStart => "stopped: a worker cannot be started, see above",
        }
    }

    fn code(self) -> ExitCode {
        match self {
            Self::Stopped => ExitCode::SUCCESS,
            Self::Unclean | Self::CannotStart => ExitCode::FAILURE,
            Self::BadSettings => ExitCode::from(EXIT_USAGE),
        }
    }
}
