//! A worker as its own process, as it is deployed.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use tempfile::TempDir;

use super::local_server::run;
use super::{binary, environment, eventually, http_get};

/// What a worker inherits from the test; everything else is said by the test, so that a
/// developer's own settings do not reach it.
const INHERITED: [&str; 5] = [
    "PATH",
    "HOME",
    "TMPDIR",
    "RUST_BACKTRACE",
    "LLVM_PROFILE_FILE",
];
const LOG_LINES_SHOWN: usize = 60;

/// Becomes the worker, and leaves a shell beside it that kills it when the test process is gone:
/// a test that was itself killed leaves nothing behind.
const RUN_UNTIL_OWNER_IS_GONE: &str = r#"
    owner=$1 folder=$2; shift 2
    ( while kill -0 "$owner" && kill -0 $$; do sleep 1; done
      kill -0 "$owner" || { kill -s KILL $$; rm -rf "$folder"; } ) </dev/null >/dev/null 2>&1 &
    exec "$@"
"#;

/// A running binary of the workspace; killed when dropped. Its output is in a file, and its last
/// lines are shown when the test fails.
#[derive(Debug)]
pub struct WorkerProcess {
    name: String,
    child: Child,
    log: PathBuf,
    // Also the working folder; removed with it.
    _folder: TempDir,
}

impl WorkerProcess {
    /// Builds the binary if needed and starts it with these arguments and environment variables,
    /// in an empty folder of its own.
    pub fn start(name: &str, arguments: &[&str], variables: &[(&str, &str)]) -> Result<Self> {
        Self::start_program(name, &binary(name)?, arguments, variables)
    }

    /// [`WorkerProcess::start`] for a program from elsewhere; `name` is for messages.
    pub fn start_program(
        name: &str,
        program: &Path,
        arguments: &[&str],
        variables: &[(&str, &str)],
    ) -> Result<Self> {
        let folder = tempfile::Builder::new()
            .prefix("millrace-worker-")
            .tempdir()
            .context("creating a folder for a worker")?;
        let log = folder.path().join("output.log");
        let output = File::create(&log).context("creating a worker's log")?;
        let inherited = INHERITED
            .iter()
            .filter_map(|&name| Some((name, environment(name)?)));
        let child = Command::new("bash")
            .args([
                "-c",
                RUN_UNTIL_OWNER_IS_GONE,
                "worker",
                &std::process::id().to_string(),
            ])
            .arg(folder.path())
            .arg(program)
            .args(arguments)
            .env_clear()
            .envs(inherited)
            .envs(variables.iter().copied())
            .current_dir(folder.path())
            .stdin(Stdio::null())
            .stdout(output.try_clone().context("sharing a worker's log")?)
            .stderr(output)
            .spawn()
            .with_context(|| format!("starting {name}"))?;
        Ok(Self {
            name: name.to_owned(),
            child,
            log,
            _folder: folder,
        })
    }

    /// The process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Everything it wrote to stdout and stderr so far.
    pub fn log(&self) -> String {
        let bytes = std::fs::read(&self.log).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// Waits until `/ready` on its ops address answers 200; an error at once when it ends first.
    pub fn wait_ready(&mut self, ops_address: &str, deadline: Duration) -> Result<()> {
        let what = format!("{} to be ready on {ops_address}", self.name);
        let ended = eventually(&what, deadline, || {
            if http_get(ops_address, "/ready").is_ok_and(|answer| answer.status == 200) {
                return Some(None);
            }
            self.child.try_wait().ok().flatten().map(Some)
        });
        match ended.with_context(|| self.last_lines())? {
            None => Ok(()),
            Some(status) => bail!("{} ended, {status}: {}", self.name, self.last_lines()),
        }
    }

    /// Waits until it has ended by itself.
    pub fn wait(&mut self, deadline: Duration) -> Result<ExitStatus> {
        let what = format!("{} to end", self.name);
        eventually(&what, deadline, || self.child.try_wait().transpose())
            .with_context(|| self.last_lines())?
            .context("waiting for a worker")
    }

    /// SIGKILL, at once; it has no last words. Returns when it is gone.
    pub fn kill(&mut self) -> Result<()> {
        self.child
            .kill()
            .with_context(|| format!("killing {}", self.name))?;
        self.child
            .wait()
            .with_context(|| format!("waiting for {}", self.name))?;
        Ok(())
    }

    /// SIGTERM, then waits until it has ended.
    pub fn terminate(&mut self, deadline: Duration) -> Result<ExitStatus> {
        self.signal("TERM")?;
        self.wait(deadline)
    }

    /// SIGSTOP: a worker that hangs with its connections open.
    pub fn pause(&mut self) -> Result<()> {
        self.signal("STOP")
    }

    /// SIGCONT, after [`WorkerProcess::pause`].
    pub fn resume(&mut self) -> Result<()> {
        self.signal("CONT")
    }

    /// Sends a signal by its name without `SIG`; an error when the worker has already ended.
    pub fn signal(&mut self, name: &str) -> Result<()> {
        // Not collected, the id cannot have become another process's.
        if let Some(status) = self.child.try_wait().context("looking after a worker")? {
            bail!("{} has ended, {status}: {}", self.name, self.last_lines());
        }
        // Bash has `kill` built in; not every machine has it as a program.
        run(Command::new("bash")
            .args(["-c", r#"kill -s "$1" "$2""#, "kill", name])
            .arg(self.pid().to_string()))
        .with_context(|| format!("sending {name} to {}", self.name))?;
        Ok(())
    }

    fn last_lines(&self) -> String {
        let log = self.log();
        let lines: Vec<&str> = log.lines().collect();
        let (_, shown) = lines.split_at(lines.len().saturating_sub(LOG_LINES_SHOWN));
        format!("the last lines of {}:\n{}", self.name, shown.join("\n"))
    }
}

impl Drop for WorkerProcess {
    #[expect(
        clippy::print_stderr,
        reason = "the test harness shows it with the failed test"
    )]
    fn drop(&mut self) {
        // It may have ended long ago.
        self.child.kill().ok();
        self.child.wait().ok();
        if std::thread::panicking() {
            eprintln!("{}", self.last_lines());
        }
    }
}
