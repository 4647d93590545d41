//! `millrace man`: manual pages.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::CommandFactory as _;

use crate::command::Command;
use crate::output::{Output, note};

/// Write a manual page for this command and for each of its subcommands
///
/// `man -l <folder>/millrace-send.1` shows one; in a folder `man1` of the manual path, `man
/// millrace-send` finds it.
#[derive(Debug, clap::Args)]
pub(crate) struct ManualPages {
    /// The folder; created if it is missing
    folder: PathBuf,
}

impl ManualPages {
    pub(crate) fn run(self) -> anyhow::Result<ExitCode> {
        let folder = self.folder.display();
        std::fs::create_dir_all(&self.folder).with_context(|| format!("creating {folder}"))?;
        let mut command = Command::command().disable_help_subcommand(true);
        command.build();
        let mut written = 0;
        let mut left = vec![command];
        while let Some(command) = left.pop() {
            left.extend(
                command
                    .get_subcommands()
                    .filter(|it| !it.is_hide_set())
                    .cloned(),
            );
            let page = clap_mangen::Man::new(command).generate_to(&self.folder);
            let page = page.with_context(|| format!("writing to {folder}"))?;
            Output::stdout().line(&page.display().to_string())?;
            written += 1;
        }
        note(&format!("{written} pages"));
        Ok(ExitCode::SUCCESS)
    }
}
