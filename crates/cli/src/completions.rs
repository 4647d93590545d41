//! `millrace completions`: what a shell needs to complete the command line.

use std::process::ExitCode;

use clap::CommandFactory as _;
use clap_complete::Shell;

use crate::command::Command;
use crate::output::Output;

/// Print completions of this command line for a shell
///
/// For bash, for example: `millrace completions bash >
/// ~/.local/share/bash-completion/completions/millrace`.
#[derive(Debug, clap::Args)]
pub(crate) struct Completions {
    /// The shell
    shell: Shell,
}

impl Completions {
    pub(crate) fn run(self) -> anyhow::Result<ExitCode> {
        let mut command = Command::command();
        let name = command.get_name().to_owned();
        // In memory first: the generator panics where a pipe is closed.
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut command, name, &mut script);
        Output::stdout().bytes(&script)?;
        Ok(ExitCode::SUCCESS)
    }
}
