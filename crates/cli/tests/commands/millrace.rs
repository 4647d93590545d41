//! Running `millrace` against a test's own servers.

use std::process::{Command, Output, Stdio};

use serde_json::Value;

/// What the tool needs to find the servers of a test; nothing of the developer's own reaches it.
#[derive(Debug, Default, Clone)]
pub(crate) struct Millrace {
    variables: Vec<(&'static str, String)>,
}

impl Millrace {
    /// With a variable of the environment.
    pub(crate) fn with(mut self, name: &'static str, value: &str) -> Self {
        self.variables.push((name, value.to_owned()));
        self
    }

    /// The command, not started.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_millrace"));
        command.env_clear();
        command.envs(self.variables.iter().map(|(name, value)| (name, value)));
        command.args(arguments).stdin(Stdio::null());
        command
    }

    /// Runs it to its end.
    pub(crate) fn run(&self, arguments: &[&str]) -> Ran {
        let output = self.command(arguments).output().expect("millrace runs");
        Ran(output)
    }
}

/// What it said.
#[derive(Debug)]
pub(crate) struct Ran(pub(crate) Output);

impl Ran {
    pub(crate) fn code(&self) -> Option<i32> {
        self.0.status.code()
    }

    pub(crate) fn stdout(&self) -> String {
        String::from_utf8(self.0.stdout.clone()).expect("text")
    }

    pub(crate) fn stderr(&self) -> String {
        String::from_utf8(self.0.stderr.clone()).expect("text")
    }

    /// The lines of stdout, all of which are JSON.
    pub(crate) fn json(&self) -> Vec<Value> {
        let text = self.stdout();
        let parsed = text.lines().map(serde_json::from_str);
        parsed
            .collect::<Result<_, _>>()
            .unwrap_or_else(|error| panic!("{error}: {text}\n{}", self.stderr()))
    }

    /// The only line.
    pub(crate) fn object(&self) -> Value {
        let mut lines = self.json();
        assert_eq!(lines.len(), 1, "{lines:?}\n{}", self.stderr());
        lines.remove(0)
    }
}
