//! Where the events come from.

use std::fs::File;
use std::io::{Seek as _, SeekFrom};
use std::path::Path;

use anyhow::Context as _;
use tokio::io::AsyncRead;
use worker::ConfigError;

use super::resume::{Identity, Progress, ResumeFile};
use crate::output::note;

/// The name of stdin.
const STDIN: &str = "-";

/// An input, opened where sending begins.
pub(super) struct Input {
    pub(super) stream: Box<dyn AsyncRead + Unpin>,
    /// Its whole length in bytes, if it is a file.
    pub(super) length: Option<u64>,
    /// What was sent before.
    pub(super) before: Progress,
    /// Where progress is kept, if it is a file.
    pub(super) resume: Option<ResumeFile>,
}

impl Input {
    /// Opens a file, a pipe or stdin, and continues a file where an earlier run stopped.
    pub(super) fn open(path: &Path, resume: bool) -> anyhow::Result<Self> {
        if path == Path::new(STDIN) {
            return Self::stream(Box::new(tokio::io::stdin()), resume);
        }
        let opening = || format!("opening {}", path.display());
        let mut file = File::open(path).with_context(opening)?;
        let metadata = file.metadata().with_context(opening)?;
        if metadata.is_dir() {
            anyhow::bail!("{} is a folder", path.display());
        }
        if !metadata.is_file() {
            return Self::stream(Box::new(tokio::fs::File::from_std(file)), resume);
        }
        let identity = Identity::of(&file).with_context(opening)?;
        let length = identity.length;
        let kept = ResumeFile::beside(path, identity);
        let before = Self::before(&kept, resume)?;
        file.seek(SeekFrom::Start(before.place.bytes))
            .with_context(opening)?;
        Ok(Self {
            stream: Box::new(tokio::fs::File::from_std(file)),
            length: Some(length),
            before,
            resume: Some(kept),
        })
    }

    fn stream(stream: Box<dyn AsyncRead + Unpin>, resume: bool) -> anyhow::Result<Self> {
        if resume {
            let text = "--resume: only a file can be continued, not stdin or a pipe";
            return Err(ConfigError(text.to_owned()).into());
        }
        Ok(Self {
            stream,
            length: None,
            before: Progress::default(),
            resume: None,
        })
    }

    fn before(kept: &ResumeFile, resume: bool) -> anyhow::Result<Progress> {
        let path = kept.path().display();
        if !resume {
            if kept.path().exists() {
                note(&format!(
                    "starting at the beginning; {path} tells of a run that --resume continues"
                ));
            }
            return Ok(Progress::default());
        }
        let before = kept.load()?;
        match before {
            Some(before) => note(&format!("continuing after line {}", before.place.lines)),
            None => note(&format!("starting at the beginning: there is no {path}")),
        }
        Ok(before.unwrap_or_default())
    }
}
