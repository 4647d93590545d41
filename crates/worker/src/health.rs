//! What the worker waits for, if anything.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

/// Why a worker is not ready, by what it waits for. Clones are the same.
#[derive(Debug, Clone, Default)]
pub struct Health {
    waiting: Arc<Mutex<BTreeMap<String, String>>>,
}

impl Health {
    /// Says that the worker waits for something, and why.
    pub fn waiting(&self, what: &str, why: impl Into<String>) {
        self.with(|waiting| waiting.insert(what.to_owned(), why.into()));
    }

    /// Says that it no longer waits for it.
    pub fn ready(&self, what: &str) {
        self.with(|waiting| waiting.remove(what));
    }

    /// What it waits for, with the reasons; empty when it is ready.
    pub fn reasons(&self) -> BTreeMap<String, String> {
        self.with(|waiting| waiting.clone())
    }

    fn with<R>(&self, action: impl FnOnce(&mut BTreeMap<String, String>) -> R) -> R {
        action(&mut self.waiting.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_worker_is_ready_when_it_waits_for_nothing() {
        let health = Health::default();
        health.waiting("redis", "connection refused");
        health.waiting("sql", "no such host");
        health.ready("redis");
        assert_eq!(health.reasons().into_keys().collect::<Vec<_>>(), ["sql"]);
        health.ready("sql");
        assert!(health.reasons().is_empty());
    }
}
