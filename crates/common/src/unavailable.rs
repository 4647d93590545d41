//! The one mark that tells the runtime "a dependency is down" from "this batch is sick".

/// A dependency did not answer or refused to work; no message is to blame and the same call may
/// succeed later. Library errors keep it in their `source` chain, and the runtime looks for it
/// there: it waits and burns no attempts.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{dependency} is unavailable: {detail}")]
pub struct Unavailable {
    /// What is down, in the words of its settings: `redis`, `sql`.
    pub dependency: &'static str,
    /// What it said, or what was tried.
    pub detail: String,
}

impl Unavailable {
    /// A dependency by name, with what it said.
    pub fn new(dependency: &'static str, detail: impl std::fmt::Display) -> Self {
        Self {
            dependency,
            detail: detail.to_string(),
        }
    }
}
