//! What is kept beside a batch: when its first and its last item came, and how many there are.

use std::time::Duration;

use common::UnixMillis;
use serde::Deserialize;

use crate::feedback::age;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Meta {
    pub(super) created_at: UnixMillis,
    pub(super) last_item_at: UnixMillis,
    pub(super) items: u64,
}

impl Meta {
    /// Nothing if somebody wrote something else there.
    pub(super) fn parse(text: &str) -> Option<Self> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Written {
            created_at: String,
            last_item_at: String,
            item_count: u64,
        }
        let written: Written = serde_json::from_str(text).ok()?;
        Some(Self {
            created_at: written.created_at.parse().ok()?,
            last_item_at: written.last_item_at.parse().ok()?,
            items: written.item_count,
        })
    }

    /// Of a batch about which nothing is known but how long its list is.
    pub(super) fn unknown(now: UnixMillis) -> Self {
        Self {
            created_at: now,
            last_item_at: now,
            items: 0,
        }
    }

    /// How long the first item has waited.
    pub(super) fn age(&self, now: UnixMillis) -> Duration {
        age(self.created_at, now)
    }
}
