//! Where rejected events are told of.

use std::fs::{File, OpenOptions};
use std::io::{BufWriter, Write as _};
use std::path::Path;

use anyhow::Context as _;

use super::event::Reject;
use super::progress::ProgressBar;
use crate::output::Output;

/// Shows the first rejects and writes all of them.
#[derive(Debug)]
pub(super) struct Rejects {
    to_show: u64,
    hidden: u64,
    file: Option<BufWriter<File>>,
}

impl Rejects {
    /// Shows so many on stdout and writes all to a file, which is continued when a sending is.
    pub(super) fn new(to_show: u64, file: Option<&Path>, resumed: bool) -> anyhow::Result<Self> {
        let open = |path: &Path| {
            let mut options = OpenOptions::new();
            options
                .create(true)
                .write(true)
                .append(resumed)
                .truncate(!resumed);
            let file = options.open(path);
            file.map(BufWriter::new)
                .with_context(|| format!("opening {}", path.display()))
        };
        Ok(Self {
            to_show,
            hidden: 0,
            file: file.map(open).transpose()?,
        })
    }

    /// Tells of rejects.
    pub(super) fn tell(&mut self, rejects: &[Reject], bar: &ProgressBar) -> anyhow::Result<()> {
        for reject in rejects {
            if let Some(file) = &mut self.file {
                Output(file).json(reject).context("writing the rejects")?;
            }
            if self.to_show == 0 {
                self.hidden += 1;
            } else {
                self.to_show -= 1;
                bar.above(|| Output::stdout().json(reject))?;
            }
        }
        Ok(())
    }

    /// Hands what was written to the operating system, before progress beyond it is kept.
    pub(super) fn flush(&mut self) -> anyhow::Result<()> {
        match &mut self.file {
            Some(file) => file.flush().context("writing the rejects"),
            None => Ok(()),
        }
    }

    /// Rejects that were not shown.
    pub(super) fn hidden(&self) -> u64 {
        self.hidden
    }
}
