//! The life of one worker, restarts included.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::os::unix::process::ExitStatusExt as _;
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use tokio::process::{Child, Command};
use tokio::task::JoinSet;
use worker::{Backoff, CancellationToken, EXIT_USAGE};

use super::lines::Printer;
use super::readiness::Readiness;

/// The waits before restarts, from and to.
const RESTART_WAIT: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(10));
/// A worker that ran so long is restarted as if it had never failed.
const STABLE_AFTER: Duration = Duration::from_secs(30);
/// How long a worker's last lines may take after it has ended.
const LAST_LINES_MAX: Duration = Duration::from_secs(1);

/// A worker that can be started.
#[derive(Debug, Clone)]
pub(super) struct Worker {
    pub(super) name: &'static str,
    pub(super) program: PathBuf,
    pub(super) ops_address: SocketAddr,
}

/// How a worker ended for good.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// It was told to stop, and did.
    Stopped,
    /// It was told to stop, and failed or had to be killed.
    Unclean,
    /// Its settings cannot be used.
    BadSettings,
    /// The operating system refused to start it.
    CannotStart,
}

/// Starts a worker again and again until it is told to stop.
#[derive(Debug)]
pub(super) struct Supervisor {
    pub(super) worker: Worker,
    pub(super) grace: Duration,
    pub(super) readiness: Arc<Readiness>,
    pub(super) printer: Printer,
    /// Cancelled when the worker is to stop.
    pub(super) stop: CancellationToken,
    /// Cancelled when nobody wants to wait any longer.
    pub(super) kill: CancellationToken,
}

impl Supervisor {
    /// Ends when the worker has ended for good.
    pub(super) async fn run(self) -> End {
        let name = self.worker.name;
        let mut backoff = Backoff::new(RESTART_WAIT.0, RESTART_WAIT.1);
        loop {
            let started = Instant::now();
            let (child, mut output) = match self.start() {
                Ok(started) => started,
                Err(error) => {
                    self.printer
                        .say(&format!("{name} cannot be started: {error}"))
                        .await;
                    return End::CannotStart;
                }
            };
            let ended = self.watch(child).await;
            self.readiness.ended(name);
            // What still holds the output then is not the worker.
            tokio::time::timeout(LAST_LINES_MAX, async {
                while output.join_next().await.is_some() {}
            })
            .await
            .ok();
            let reason = match ended {
                Ended::ToldTo(end) => return end,
                Ended::ByItself(status) if is_usage(status) => {
                    self.printer
                        .say(&format!("{name} {}: bad settings", how(status)))
                        .await;
                    return End::BadSettings;
                }
                Ended::ByItself(status) => how(status),
                Ended::Unknown(error) => error,
            };
            if started.elapsed() >= STABLE_AFTER {
                backoff.reset();
            }
            let wait = backoff.advance();
            let seconds = wait.as_secs_f64();
            self.printer
                .say(&format!("{name} {reason}; restarting in {seconds:.1} s"))
                .await;
            tokio::select! {
                () = self.stop.cancelled() => return End::Stopped,
                () = tokio::time::sleep(wait) => {}
            }
        }
    }

    fn start(&self) -> std::io::Result<(Child, JoinSet<()>)> {
        let mut child = Command::new(&self.worker.program)
            .env("OPS_ADDRESS", self.worker.ops_address.to_string())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .kill_on_drop(true)
            .spawn()?;
        let mut output = JoinSet::new();
        if let Some(stdout) = child.stdout.take() {
            output.spawn(self.printer.clone().copy(self.worker.name, stdout));
        }
        if let Some(stderr) = child.stderr.take() {
            output.spawn(self.printer.clone().copy(self.worker.name, stderr));
        }
        Ok((child, output))
    }

    /// Waits until the process has ended, by itself or because it was told to.
    async fn watch(&self, mut child: Child) -> Ended {
        let Worker {
            name, ops_address, ..
        } = self.worker;
        let ready = async {
            let all_are_ready = self.readiness.wait(name, ops_address).await;
            self.printer
                .say(&format!("{name} is ready, http://{ops_address}"))
                .await;
            if all_are_ready {
                self.printer.say("all workers are ready").await;
            }
            std::future::pending::<Infallible>().await
        };
        tokio::select! {
            ended = child.wait() => match ended {
                Ok(status) => Ended::ByItself(status),
                Err(error) => Ended::Unknown(format!("cannot be watched: {error}")),
            },
            () = self.stop.cancelled() => Ended::ToldTo(self.end(child).await),
            never = ready => match never {},
        }
    }

    async fn end(&self, mut child: Child) -> End {
        // Without an id it has ended; the id stays its own until it is waited for.
        let id = child
            .id()
            .and_then(|id| i32::try_from(id).ok())
            .and_then(Pid::from_raw);
        if let Some(id) = id {
            // An error says that it has just ended.
            kill_process(id, Signal::TERM).ok();
        }
        let why = tokio::select! {
            ended = child.wait() => return self.stopped(ended.ok()).await,
            () = self.kill.cancelled() => "killed".to_owned(),
            () = tokio::time::sleep(self.grace) => {
                format!("did not stop within {:.1} s: killed", self.grace.as_secs_f64())
            }
        };
        if let Some(id) = id {
            kill_process_group(id, Signal::KILL).ok();
        }
        child.wait().await.ok();
        self.printer
            .say(&format!("{} {why}", self.worker.name))
            .await;
        End::Unclean
    }

    async fn stopped(&self, status: Option<ExitStatus>) -> End {
        let Some(status) = status.filter(|status| !is_clean(*status)) else {
            return End::Stopped;
        };
        let text = format!(
            "{} did not stop cleanly: it {}",
            self.worker.name,
            how(status)
        );
        self.printer.say(&text).await;
        End::Unclean
    }
}

/// How a process ended.
#[derive(Debug)]
enum Ended {
    ByItself(ExitStatus),
    ToldTo(End),
    Unknown(String),
}

/// It may have been told to stop before it was able to listen.
fn is_clean(status: ExitStatus) -> bool {
    status.success() || status.signal() == Some(Signal::TERM.as_raw())
}

fn is_usage(status: ExitStatus) -> bool {
    status.code() == Some(i32::from(EXIT_USAGE))
}

fn how(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("exited with code {code}"),
        (None, Some(signal)) => {
            let name = Signal::from_named_raw(signal).map(|signal| format!(" ({signal:?})"));
            let name = name
                .unwrap_or_default()
                .replace('"', "")
                .replace("Signal::", "SIG");
            format!("was ended by signal {signal}{name}")
        }
        (None, None) => format!("ended: {status}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reason_of_an_end_is_a_code_or_a_signal() {
        let code = |code: i32| ExitStatus::from_raw(code << 8);
        assert_eq!(how(code(3)), "exited with code 3");
        assert!(is_usage(code(64)) && !is_usage(code(1)));
        let killed = how(ExitStatus::from_raw(9));
        assert_eq!(killed, "was ended by signal 9 (SIGKILL)");
    }
}
