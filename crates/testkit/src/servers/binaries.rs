//! The workspace's binaries, built as the running test was.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use anyhow::{Context as _, Result, anyhow, ensure};
use serde_json::Value;

use super::environment;
use super::local_server::project_folder;

/// What these binaries are built with: what the running test was built with, else Cargo would build
/// everything anew.
#[cfg(feature = "armed")]
const FEATURES: &[&str] = &["--features", "tests/crash-points"];
#[cfg(not(feature = "armed"))]
const FEATURES: &[&str] = &[];

type PathsByName = HashMap<String, PathBuf>;

/// The path of a binary, built in the profile and target folder of this test if it is not current.
/// Cargo runs once per process.
pub fn binary(name: &str) -> Result<PathBuf> {
    static BUILT: OnceLock<Result<PathsByName, String>> = OnceLock::new();
    let built = BUILT.get_or_init(|| build().map_err(|error| format!("{error:#}")));
    let paths = built
        .as_ref()
        .map_err(|message| anyhow!("building the binaries: {message}"))?;
    paths.get(name).cloned().with_context(|| {
        let known: Vec<_> = paths.keys().collect();
        format!("the workspace has no binary {name}, only {known:?}")
    })
}

fn build() -> Result<PathsByName> {
    let test = std::env::current_exe().context("finding the running test")?;
    // <target folder>/<profile>/deps/<test>
    let profile_folder = test
        .ancestors()
        .nth(2)
        .context("finding the profile's folder")?;
    let target_folder = profile_folder
        .parent()
        .context("finding the target folder")?;
    let profile = profile_folder.file_name().and_then(|name| name.to_str());
    let profile = match profile.context("reading the name of the profile's folder")? {
        "debug" => "dev",
        other => other,
    };
    let cargo = environment("CARGO").unwrap_or_else(|| "cargo".to_owned());
    let mut command = Command::new(cargo);
    // What Cargo says to this test would make it build again what depends on it (`ring` does).
    for name in own_variables() {
        command.env_remove(name);
    }
    let output = command
        .args(["build", "--workspace", "--bins", "--profile", profile])
        .args(FEATURES)
        .args([
            "--message-format",
            "json-render-diagnostics",
            "--target-dir",
        ])
        .arg(target_folder)
        .current_dir(project_folder())
        .stdin(Stdio::null())
        .output()
        .context("running cargo")?;
    let complaint = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{complaint}");
    Ok(String::from_utf8_lossy(&output.stdout)
        .lines()
        .filter_map(executable)
        .collect())
}

/// The variables by which Cargo tells a test about its own package.
fn own_variables() -> impl Iterator<Item = String> {
    std::env::vars().map(|(name, _)| name).filter(|name| {
        [
            "CARGO_MANIFEST_",
            "CARGO_PKG_",
            "CARGO_BIN_",
            "CARGO_CRATE_",
            "CARGO_PRIMARY_",
        ]
        .iter()
        .any(|prefix| name.starts_with(prefix))
    })
}

/// The executable that a line of Cargo's report is about, with the name of its binary.
fn executable(line: &str) -> Option<(String, PathBuf)> {
    let message: Value = serde_json::from_str(line).ok()?;
    let path = Path::new(message.get("executable")?.as_str()?);
    let name = message.get("target")?.get("name")?.as_str()?;
    Some((name.to_owned(), path.to_owned()))
}
