//! The house rules that a machine can check: arrows between crates, sizes of files, and words that
//! are spelled in one place only.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result};
use serde_json::Value;

/// What each crate of the workspace may depend on, within the workspace. `testkit` is for tests.
const ARROWS: [(&str, &[&str]); 13] = [
    ("common", &[]),
    ("crash-points", &[]),
    ("identity", &["common"]),
    ("redis-link", &["common", "crash-points"]),
    ("bus", &["common", "crash-points", "redis-link"]),
    ("stores", &["common", "crash-points", "redis-link"]),
    ("worker", &["common", "crash-points", "bus"]),
    (
        "testkit",
        &["common", "redis-link", "bus", "stores", "worker"],
    ),
    ("ingestion", BINARY),
    ("event-processors", BINARY),
    ("feedback-flusher", BINARY),
    ("admin", BINARY),
    ("cli", BINARY),
];
/// A binary may use every library; binaries never know one another.
const BINARY: &[&str] = &[
    "common",
    "crash-points",
    "identity",
    "bus",
    "stores",
    "worker",
];
/// Clients of servers, and the only crates that may name them.
const CLIENTS: [(&str, &[&str]); 4] = [
    ("redis", &["redis-link"]),
    ("sqlx", &["stores"]),
    ("rdkafka", &["bus"]),
    ("mongodb", &["stores"]),
];
const LINES_MAX: usize = 400;
const MAIN_LINES_MAX: usize = 60;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// A crate's name, and whether it is for tests only.
type Dependency = (String, bool);

/// The dependencies of each crate of the workspace.
fn dependencies() -> Result<BTreeMap<String, Vec<Dependency>>> {
    let output = Command::new(env!("CARGO"))
        .args([
            "metadata",
            "--format-version",
            "1",
            "--no-deps",
            "--offline",
        ])
        .current_dir(root())
        .output()?;
    let metadata: Value = serde_json::from_slice(&output.stdout)
        .with_context(|| String::from_utf8_lossy(&output.stderr).into_owned())?;
    let packages = metadata
        .get("packages")
        .and_then(Value::as_array)
        .context("no packages")?;
    let text = |value: &Value, name: &str| -> Result<String> {
        Ok(value
            .get(name)
            .and_then(Value::as_str)
            .context("no name")?
            .to_owned())
    };
    let mut all = BTreeMap::new();
    for package in packages {
        let list = package
            .get("dependencies")
            .and_then(Value::as_array)
            .context("no list")?;
        let dependencies = list
            .iter()
            .map(|dependency| {
                let dev = dependency.get("kind").and_then(Value::as_str) == Some("dev");
                Ok((text(dependency, "name")?, dev))
            })
            .collect::<Result<Vec<_>>>()?;
        all.insert(text(package, "name")?, dependencies);
    }
    Ok(all)
}

#[test]
fn arrows_point_down() -> Result<()> {
    let all = dependencies()?;
    let members: BTreeSet<&String> = all.keys().collect();
    let arrows: BTreeMap<&str, &[&str]> = ARROWS.into_iter().collect();
    for (name, dependencies) in &all {
        if name == "tests" {
            continue;
        }
        let allowed = arrows
            .get(name.as_str())
            .with_context(|| format!("where does {name} go?"))?;
        for (dependency, dev) in dependencies
            .iter()
            .filter(|(name, _)| members.contains(name))
        {
            let fine = allowed.contains(&dependency.as_str()) || (*dev && dependency != name);
            assert!(fine, "{name} must not depend on {dependency}");
            assert!(
                *dev || dependency != "testkit",
                "{name} uses testkit outside its tests"
            );
        }
    }
    Ok(())
}

/// The features with which `crash-points` would be built.
fn crash_point_features(arguments: &[&str]) -> Result<BTreeSet<String>> {
    let output = Command::new(env!("CARGO"))
        .args(["tree", "--workspace", "--edges", "normal", "--offline"])
        .args(["--prefix", "none", "--format", "{p} [{f}]"])
        .args(arguments)
        .current_dir(root())
        .output()?;
    let complaint = String::from_utf8_lossy(&output.stderr).into_owned();
    anyhow::ensure!(output.status.success(), complaint);
    let text = String::from_utf8(output.stdout)?;
    let lines = text
        .lines()
        .filter(|line| line.starts_with("crash-points "));
    let features = lines.filter_map(|line| Some(line.rsplit_once('[')?.1.split_once(']')?.0));
    Ok(features.map(str::to_owned).collect())
}

#[test]
fn only_builds_for_tests_can_be_made_to_crash() -> Result<()> {
    let released = crash_point_features(&[])?;
    assert_eq!(released, BTreeSet::from([String::new()]));
    let tested = crash_point_features(&["--features", "tests/crash-points"])?;
    assert_eq!(tested, BTreeSet::from(["armed".to_owned()]));
    let makefile = std::fs::read_to_string(root().join("Makefile"))?;
    for line in makefile.lines().filter(|line| line.contains("--release")) {
        let armed = line.contains("CRASHABLE") || line.contains("--features");
        assert!(!armed, "a release can be made to crash: {line}");
    }
    Ok(())
}

#[test]
fn only_their_crates_name_the_clients_of_servers() -> Result<()> {
    let all = dependencies()?;
    for (client, allowed) in CLIENTS {
        for (name, dependencies) in &all {
            let names_it = dependencies
                .iter()
                .any(|(dependency, dev)| dependency == client && !dev);
            assert!(
                !names_it || allowed.contains(&name.as_str()),
                "{name} must not name {client}"
            );
        }
    }
    Ok(())
}

/// The files of the repository with an ending, as git knows them.
fn files(ending: &str) -> Result<Vec<(String, String)>> {
    let output = Command::new("git")
        .args(["ls-files", "--cached", "--others", "--exclude-standard"])
        .current_dir(root())
        .output()?;
    let names = String::from_utf8(output.stdout)?;
    let wanted = names.lines().filter(|name| name.ends_with(ending));
    let existing = wanted.filter(|name| root().join(name).exists());
    existing
        .map(|name| Ok((name.to_owned(), std::fs::read_to_string(root().join(name))?)))
        .collect()
}

#[test]
fn files_are_small() -> Result<()> {
    let files = files(".rs")?;
    assert!(files.len() > 50, "git found {} files", files.len());
    for (name, text) in &files {
        let lines = text.lines().count();
        let most = if name.ends_with("src/main.rs") {
            MAIN_LINES_MAX
        } else {
            LINES_MAX
        };
        assert!(lines <= most, "{name} has {lines} lines, more than {most}");
    }
    Ok(())
}

#[test]
fn topics_groups_and_keys_are_spelled_in_common_only() -> Result<()> {
    let mut words: Vec<String> = common::topics::ALL
        .iter()
        .flat_map(|topic| std::iter::once(topic.name).chain(topic.groups.iter().copied()))
        .map(|name| format!("\"{name}\""))
        .collect();
    // The name of the binary, too.
    words.retain(|word| word != "\"event-processors\"");
    words.extend(
        [
            "feedback:batch",
            "feedback:flush",
            "post:views:",
            "user:view:",
            "event:seen:",
            "bus:group:",
            "bus:letters:",
            "bus:moved:",
            "bus:moving:",
            "bus:output:",
        ]
        .map(str::to_owned),
    );
    for (name, text) in files(".rs")? {
        let test_code = name.starts_with("tests/") || name.contains("/tests");
        if name.starts_with("crates/common/") || test_code {
            continue;
        }
        let code = text.split("#[cfg(test)]").next().unwrap_or_default();
        let code = code
            .lines()
            .filter(|line| !line.trim_start().starts_with("//"));
        for line in code {
            let spelled = words.iter().find(|word| line.contains(word.as_str()));
            assert_eq!(
                spelled, None,
                "{name}: use the type of `common` instead: {line}"
            );
        }
    }
    Ok(())
}

#[test]
fn nothing_is_dropped_silenced_or_left_undone() -> Result<()> {
    // Put together here, so that this file does not contain what it looks for.
    let let_it_go = ["let ", "_ = "].concat();
    let silenced = ["#[", "allow("].concat();
    let skipped = ["#[", "ignore"].concat();
    let undone = ["to", "do!("].concat();
    for (name, text) in files(".rs")? {
        for words in [&let_it_go, &silenced, &skipped, &undone] {
            assert!(!text.contains(words.as_str()), "{name} contains {words}");
        }
    }
    Ok(())
}

#[test]
fn tests_do_not_sleep() -> Result<()> {
    let sleep = ["::sl", "eep("].concat();
    for (name, text) in files(".rs")? {
        let test_code = name.starts_with("tests/") || name.contains("/tests/");
        assert!(
            !test_code || !text.contains(&sleep),
            "{name} sleeps; wait for a condition"
        );
    }
    Ok(())
}

#[test]
fn the_top_level_shows_only_what_a_reader_expects() -> Result<()> {
    let expected: BTreeSet<&str> = [
        "Cargo.toml",
        "Cargo.lock",
        "crates",
        "deploy",
        "scripts",
        "tests",
        "Makefile",
        "README.md",
        "ARCHITECTURE.md",
        "LICENSE",
        "target",
    ]
    .into();
    for entry in std::fs::read_dir(root())? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        assert!(
            name.starts_with('.') || expected.contains(name.as_str()),
            "{name} at the top"
        );
    }
    Ok(())
}
