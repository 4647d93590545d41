//! What is generated from the command line's own description: completions and manual pages.

use std::process::Command;

use crate::millrace::Millrace;

/// The subcommands that `--help` lists.
fn subcommands(of: &[&str]) -> Vec<String> {
    let ran = Millrace::default().run(&[of, &["--help"]].concat());
    let help = ran.stdout();
    let listed = help.lines().skip_while(|line| *line != "Commands:").skip(1);
    let names = listed
        .take_while(|line| line.starts_with("  "))
        .filter_map(|line| line.strip_prefix("  ")?.split(' ').next());
    let names = names.filter(|name| !name.is_empty() && *name != "help");
    names.map(str::to_owned).collect()
}

#[test]
fn every_shell_gets_completions_of_every_subcommand_and_option() {
    let names = subcommands(&[]);
    assert!(names.len() > 10, "{names:?}");
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let ran = Millrace::default().run(&["completions", shell]);
        assert_eq!(ran.code(), Some(0), "{shell}: {}", ran.stderr());
        let script = ran.stdout();
        for word in names
            .iter()
            .map(String::as_str)
            .chain(["redrive", "settle-timeout"])
        {
            assert!(script.contains(word), "{shell}: no {word}");
        }
    }
    let ran = Millrace::default().run(&["completions", "tcsh"]);
    assert_eq!(ran.code(), Some(64));
    assert!(ran.stderr().contains("bash"), "{}", ran.stderr());
}

#[test]
fn bash_completes_with_what_it_gets() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("millrace");
    let ran = Millrace::default().run(&["completions", "bash"]);
    std::fs::write(&path, &ran.0.stdout).expect("writable");
    // What bash does when somebody types `millrace dead re` and the tabulator key.
    let typed = r#"
        source "$1"
        COMP_WORDS=(millrace dead re) COMP_CWORD=2
        _millrace millrace re dead
        echo "${COMPREPLY[@]}"
    "#;
    let mut bash = Command::new("bash");
    let output = bash.args(["-c", typed, "bash"]).arg(&path).output();
    let output = output.expect("bash runs");
    let completed = String::from_utf8_lossy(&output.stdout);
    assert_eq!(completed.trim(), "redrive", "{output:?}");
}

#[test]
fn every_subcommand_has_a_manual_page() {
    let parent = tempfile::tempdir().expect("a folder");
    let folder = parent.path().join("share/man1");
    let ran = Millrace::default().run(&["man", folder.to_str().expect("text")]);
    assert_eq!(ran.code(), Some(0), "{}", ran.stderr());
    let mut expected = vec!["millrace.1".to_owned()];
    for name in subcommands(&[]) {
        expected.push(format!("millrace-{name}.1"));
        let nested = subcommands(&[&name]);
        expected.extend(
            nested
                .iter()
                .map(|nested| format!("millrace-{name}-{nested}.1")),
        );
    }
    expected.sort();
    let entries = std::fs::read_dir(&folder).expect("written");
    let mut pages: Vec<String> = entries
        .map(|entry| {
            entry
                .expect("readable")
                .file_name()
                .into_string()
                .expect("text")
        })
        .collect();
    pages.sort();
    assert_eq!(pages, expected);
    assert!(pages.contains(&"millrace-dead-redrive.1".to_owned()));
    for page in &pages {
        let text = std::fs::read_to_string(folder.join(page)).expect("readable");
        assert!(text.contains(".SH SYNOPSIS"), "{page}: {text}");
    }
    let load = std::fs::read_to_string(folder.join("millrace-load.1")).expect("written");
    for word in ["settle\\-timeout", "WhatsApp", "INGESTION_URL"] {
        assert!(load.contains(word), "no {word} in {load}");
    }
}

#[test]
fn a_folder_that_cannot_be_written_is_named() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("file");
    std::fs::write(&file, "").expect("writable");
    let below = file.join("man1");
    let ran = Millrace::default().run(&["man", below.to_str().expect("text")]);
    assert_eq!(ran.code(), Some(1));
    assert!(ran.stderr().contains("file/man1"), "{}", ran.stderr());
}
