//! A server of a test's own, run by its script in `scripts/`.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, ensure};
use tempfile::TempDir;

use super::ports::free_port;

/// A server on a free loopback port, with data in a folder of its own.
///
/// Dropping it kills it and removes the data. When the test process is gone without dropping it,
/// the script does both.
#[derive(Debug)]
pub struct LocalServer {
    script: &'static str,
    options: Vec<String>,
    folder: TempDir,
    port: u16,
    url: String,
}

impl LocalServer {
    /// `options` go to the server's command line.
    pub(super) fn start(script: &'static str, options: &[&str]) -> Result<Self> {
        let folder = tempfile::Builder::new()
            .prefix("millrace-server-")
            .tempdir()
            .context("creating a folder for a server")?;
        let port = free_port()?;
        let url = run_script(
            script,
            &["url", path_text(folder.path())?, &port.to_string()],
        )?;
        let options = options.iter().map(|&option| option.to_owned()).collect();
        let server = Self {
            script,
            options,
            folder,
            port,
            url,
        };
        server.start_process()?;
        Ok(server)
    }

    /// With scheme and port; PostgreSQL's names the database `millrace`, Kafka's has no scheme.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// `127.0.0.1:<port>`, for what stands between a worker and the server.
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// The loopback port, the same after every restart.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The process now running; another one after a restart, an error while it is stopped.
    pub fn pid(&self) -> Result<u32> {
        let text = std::fs::read_to_string(self.folder.path().join("pid"))
            .context("reading the process id of a server that should run")?;
        text.trim()
            .parse()
            .context("reading the process id of a server")
    }

    /// Stops in good order, everything written.
    pub fn stop(&self) -> Result<()> {
        self.script("stop")
    }

    /// SIGKILL, as a power cut of the server. Returns when its processes are gone.
    pub fn kill(&self) -> Result<()> {
        self.script("kill")
    }

    /// Stops it in good order if it runs, and starts it on the same port and data.
    pub fn restart(&self) -> Result<()> {
        self.stop()?;
        self.start_process()
    }

    /// Kills it and starts an empty one on the same port: a failover that lost everything.
    pub fn restart_empty(&self) -> Result<()> {
        self.kill()?;
        std::fs::remove_dir_all(self.folder.path().join("data"))
            .context("removing a server's data")?;
        self.start_process()
    }

    /// SIGSTOP: connections stay open and nothing answers.
    pub fn pause(&self) -> Result<()> {
        self.script("pause")
    }

    /// SIGCONT, after [`LocalServer::pause`].
    pub fn resume(&self) -> Result<()> {
        self.script("resume")
    }

    fn start_process(&self) -> Result<()> {
        let port = self.port.to_string();
        let owner = std::process::id().to_string();
        let folder = path_text(self.folder.path())?;
        let mut arguments = vec!["start", folder, &port, "--with", &owner, "--"];
        arguments.extend(self.options.iter().map(String::as_str));
        run_script(self.script, &arguments)?;
        Ok(())
    }

    fn script(&self, command: &str) -> Result<()> {
        run_script(self.script, &[command, path_text(self.folder.path())?])?;
        Ok(())
    }
}

impl Drop for LocalServer {
    fn drop(&mut self) {
        // A failure here must not hide the one that the test is about.
        self.script("discard").ok();
    }
}

/// Runs a script of this project and returns what it printed.
pub(super) fn run_script(name: &str, arguments: &[&str]) -> Result<String> {
    let path = project_folder().join("scripts").join(name);
    run(Command::new("bash").arg(path).args(arguments))
}

/// Runs a command to its end and returns what it printed, without the line end.
pub(super) fn run(command: &mut Command) -> Result<String> {
    let program = command.get_program().to_owned();
    let output = command
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("running {}", program.display()))?;
    let complaint = String::from_utf8_lossy(&output.stderr);
    ensure!(
        output.status.success(),
        "{}, {}",
        output.status,
        complaint.trim()
    );
    let printed = String::from_utf8(output.stdout).context("reading what a command printed")?;
    Ok(printed.trim_end().to_owned())
}

/// The top of the project's sources.
pub(super) fn project_folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn path_text(path: &Path) -> Result<&str> {
    path.to_str()
        .context("the folder for temporary files has a name that is not UTF-8")
}
