//! What the calls on their way are about.

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};

use tokio::sync::Notify;

/// The names in the calls on their way: the same event waits until it is known what became of the
/// other, else both calls would find it new.
#[derive(Debug, Default)]
pub(super) struct InFlight {
    names: Mutex<HashSet<String>>,
    changed: Notify,
}

impl InFlight {
    /// Waits until none of these is in flight, and adds them.
    pub(super) async fn enter(&self, names: &[String]) {
        loop {
            // Before the look, so that no change is missed.
            let changed = self.changed.notified();
            if self.try_enter(names) {
                return;
            }
            changed.await;
        }
    }

    fn try_enter(&self, names: &[String]) -> bool {
        let mut all = self.names.lock().unwrap_or_else(PoisonError::into_inner);
        if names.iter().any(|name| all.contains(name)) {
            return false;
        }
        all.extend(names.iter().cloned());
        true
    }

    /// Removes them, whatever became of their call.
    pub(super) fn leave(&self, names: &[String]) {
        let mut all = self.names.lock().unwrap_or_else(PoisonError::into_inner);
        for name in names {
            all.remove(name);
        }
        drop(all);
        self.changed.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_name_in_flight_is_waited_for() {
        let in_flight = InFlight::default();
        let [one, both, other] = [&["a"][..], &["a", "b"], &["c"]].map(|names| {
            names
                .iter()
                .map(|name| (*name).to_owned())
                .collect::<Vec<_>>()
        });
        in_flight.enter(&one).await;
        in_flight.enter(&other).await;
        let mut waiting = std::pin::pin!(in_flight.enter(&both));
        assert!(futures_util::poll!(waiting.as_mut()).is_pending());
        in_flight.leave(&other);
        assert!(futures_util::poll!(waiting.as_mut()).is_pending());
        in_flight.leave(&one);
        waiting.await;
        assert!(!in_flight.try_enter(&one));
        in_flight.leave(&both);
        assert!(in_flight.try_enter(&one));
    }
}
