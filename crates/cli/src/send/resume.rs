//! How far a file was sent, kept beside it.

use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::batches::Place;
use super::order::Counts;

/// What is appended to the name of a file.
const SUFFIX: &str = ".millrace";
const VERSION: u32 = 1;
/// How much of a file is hashed to recognise it.
const HEAD_BYTES: u64 = 64 * 1024;
/// The name space of the hash.
const NAMESPACE: Uuid = Uuid::from_u128(0x6d69_6c6c_7261_4365_8000_0066_696c_6521);

/// Which file it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Identity {
    /// Its length in bytes.
    pub(super) length: u64,
    /// A hash of its first 64 KiB.
    head: Uuid,
}

/// Up to where everything was answered, and what the answers were.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Progress {
    pub(super) place: Place,
    pub(super) counts: Counts,
}

/// What is in the file beside the file.
#[derive(Debug, Serialize, Deserialize)]
struct Stored {
    version: u32,
    file: Identity,
    bytes: u64,
    lines: u64,
    counts: Counts,
}

/// The file beside a file.
#[derive(Debug)]
pub(super) struct ResumeFile {
    path: PathBuf,
    identity: Identity,
}

impl Identity {
    /// Of an open file, read from its start.
    pub(super) fn of(mut file: &File) -> io::Result<Self> {
        let mut head = Vec::new();
        (&mut file).take(HEAD_BYTES).read_to_end(&mut head)?;
        Ok(Self {
            length: file.metadata()?.len(),
            head: Uuid::new_v5(&NAMESPACE, &head),
        })
    }
}

impl ResumeFile {
    /// Of the file at a path.
    pub(super) fn beside(path: &Path, identity: Identity) -> Self {
        let mut name = path.as_os_str().to_owned();
        name.push(SUFFIX);
        Self {
            path: name.into(),
            identity,
        }
    }

    /// Where it is.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// What was kept; `None` if nothing was. A file that has changed is an error.
    pub(super) fn load(&self) -> anyhow::Result<Option<Progress>> {
        let path = self.path.display();
        let bytes = match fs::read(&self.path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error).with_context(|| format!("reading {path}")),
        };
        let stored: Stored = serde_json::from_slice(&bytes).with_context(|| {
            format!("{path} cannot be understood; without --resume sending starts at the beginning")
        })?;
        if stored.version != VERSION {
            bail!(
                "{path} was written by another version of millrace, {}",
                stored.version
            );
        }
        if stored.file != self.identity {
            bail!(
                "the file has changed since {path} was written (then {} bytes, now {}); without \
                 --resume sending starts at the beginning",
                stored.file.length,
                self.identity.length
            );
        }
        let place = Place {
            bytes: stored.bytes,
            lines: stored.lines,
        };
        Ok(Some(Progress {
            place,
            counts: stored.counts,
        }))
    }

    /// Keeps progress; a crash leaves the old or the new.
    pub(super) fn save(&self, progress: &Progress) -> anyhow::Result<()> {
        let stored = Stored {
            version: VERSION,
            file: self.identity.clone(),
            bytes: progress.place.bytes,
            lines: progress.place.lines,
            counts: progress.counts,
        };
        let mut written = self.path.clone().into_os_string();
        written.push(".new");
        let write = || {
            let mut file = File::create(&written)?;
            file.write_all(&serde_json::to_vec(&stored)?)?;
            file.sync_data()?;
            fs::rename(&written, &self.path)
        };
        write().with_context(|| format!("writing {}", self.path.display()))
    }

    /// Forgets everything.
    pub(super) fn remove(&self) -> anyhow::Result<()> {
        match fs::remove_file(&self.path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(error).with_context(|| format!("removing {}", self.path.display()))
            }
            Ok(()) | Err(_) => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resume_file(path: &Path) -> ResumeFile {
        let file = File::open(path).expect("the file is there");
        ResumeFile::beside(path, Identity::of(&file).expect("readable"))
    }

    #[test]
    fn progress_is_kept_until_it_is_removed() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("events.ndjson");
        fs::write(&path, "{}\n{}\n").expect("writable");
        let resume = resume_file(&path);
        assert!(resume.load().expect("readable").is_none());
        let progress = Progress {
            place: Place { bytes: 3, lines: 1 },
            counts: Counts {
                accepted: 1,
                ..Counts::default()
            },
        };
        for _ in 0..2 {
            resume.save(&progress).expect("writable");
            assert_eq!(resume.load().expect("readable"), Some(progress));
        }
        let names = fs::read_dir(folder.path()).expect("readable").count();
        assert_eq!(names, 2, "the file and what is kept of it");
        resume.remove().expect("removable");
        resume.remove().expect("removed before");
        assert!(resume.load().expect("readable").is_none());
    }

    #[test]
    fn a_file_that_has_changed_is_not_resumed() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("events.ndjson");
        fs::write(&path, "{}\n{}\n").expect("writable");
        resume_file(&path)
            .save(&Progress::default())
            .expect("writable");
        for changed in ["{}\n{ }\n", "{}\n[]\n", "{}\n"] {
            fs::write(&path, changed).expect("writable");
            let error = resume_file(&path).load().expect_err("changed");
            assert!(error.to_string().contains("has changed"), "{error}");
        }
    }
}
