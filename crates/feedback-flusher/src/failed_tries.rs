//! How often single documents could not be written, by this instance.
//!
//! The attempts of a batch say less: they also count crashes and servers that were down, which are
//! no document's fault.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

/// Documents that are counted at most. When there are more, counting begins anew: then they fail a
/// few times more before they are given up.
const COUNTED_MAX: usize = 10_000;

/// Failed tries by natural id.
#[derive(Debug, Default)]
pub(crate) struct FailedTries {
    tries: Mutex<HashMap<String, u32>>,
}

impl FailedTries {
    /// Counts another failed try of a document; gives how many there were.
    pub(crate) fn another(&self, feedback_id: &str) -> u32 {
        self.with(|tries| {
            if tries.len() >= COUNTED_MAX {
                tries.clear();
            }
            let count = tries.entry(feedback_id.to_owned()).or_default();
            *count = count.saturating_add(1);
            *count
        })
    }

    /// These documents were given up.
    pub(crate) fn forget(&self, feedback_ids: &[&str]) {
        self.with(|tries| {
            for id in feedback_ids {
                tries.remove(*id);
            }
        });
    }

    fn with<R>(&self, action: impl FnOnce(&mut HashMap<String, u32>) -> R) -> R {
        action(&mut self.tries.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
