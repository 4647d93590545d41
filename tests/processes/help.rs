//! `--help` is complete: whatever can be set is in it.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use testkit::servers::WorkerProcess;

use crate::running::{SOON, WORKERS};

/// What every worker is made of.
const LIBRARIES: [&str; 4] = ["bus", "redis-link", "stores", "worker"];
/// The workers that know of feedback, and how the variables of its stores begin.
const OF_FEEDBACK: [&str; 2] = ["admin", "feedback-flusher"];
const FEEDBACK_VARIABLES: [&str; 2] = ["FEEDBACK_", "MONGODB_"];

fn help(binary: &str, arguments: &[&str]) -> Result<String> {
    let mut process = WorkerProcess::start(binary, arguments, &[])?;
    let status = process.wait(SOON)?;
    ensure!(
        status.success(),
        "{binary} {arguments:?}: {}",
        process.log()
    );
    Ok(process.log())
}

/// The variables that the sources of a crate read.
fn variables(name: &str) -> Result<BTreeSet<String>> {
    let crates = Path::new(env!("CARGO_MANIFEST_DIR")).join("../crates");
    let mut variables = BTreeSet::new();
    for file in sources(&crates.join(name).join("src"))? {
        let text = std::fs::read_to_string(&file)?;
        let code = text.split("#[cfg(test)]").next().unwrap_or_default();
        let found = code.split(r#"env = ""#).skip(1);
        variables.extend(found.filter_map(|rest| Some(rest.split_once('"')?.0.to_owned())));
    }
    Ok(variables)
}

fn sources(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).with_context(|| folder.display().to_string())? {
        let path = entry?.path();
        if path.is_dir() {
            files.extend(sources(&path)?);
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            files.push(path);
        }
    }
    Ok(files)
}

#[test]
fn the_help_of_every_worker_names_every_variable() -> Result<()> {
    for worker in WORKERS {
        let help = help(worker, &["--help"])?;
        let mut count = 0;
        for name in LIBRARIES.into_iter().chain([worker]) {
            for variable in variables(name)? {
                let of_feedback = FEEDBACK_VARIABLES
                    .iter()
                    .any(|start| variable.starts_with(start));
                let expected = !of_feedback || OF_FEEDBACK.contains(&worker);
                let named = help.contains(&variable);
                assert_eq!(named, expected, "{worker} --help: {variable}");
                count += 1;
            }
        }
        assert!(count > 20, "{count} variables");
    }
    Ok(())
}

#[test]
fn the_help_of_every_subcommand_names_every_variable_of_the_tool() -> Result<()> {
    let overview = help("millrace", &["--help"])?;
    let commands = overview
        .lines()
        .skip_while(|line| !line.starts_with("Commands:"));
    let commands: Vec<&str> = commands
        .skip(1)
        .take_while(|line| line.starts_with("  "))
        .filter_map(|line| line.strip_prefix("  ")?.split(' ').next())
        .filter(|name| !name.is_empty() && *name != "help")
        .collect();
    assert!(
        commands.contains(&"up") && commands.contains(&"migrate"),
        "{overview}"
    );
    let mut all = String::new();
    for command in commands {
        all.push_str(&help("millrace", &[command, "--help"])?);
    }
    for variable in variables("cli")? {
        assert!(all.contains(&variable), "{variable}");
    }
    Ok(())
}

#[test]
fn every_binary_gives_its_version() -> Result<()> {
    for binary in WORKERS.into_iter().chain(["millrace"]) {
        let version = help(binary, &["--version"])?;
        assert!(version.starts_with(binary), "{version}");
        assert!(version.contains(env!("CARGO_PKG_VERSION")), "{version}");
    }
    Ok(())
}
