//! When a failed message is due again.

use std::time::Duration;

use crate::message_id::MessageId;

/// Retry by idle time: a message that failed `n` times is due once it has been idle for
/// `min(cap, base * 2^(n-1))`, plus jitter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RetryPolicy {
    /// The wait after the first failure.
    pub base: Duration,
    /// The longest wait.
    pub cap: Duration,
    /// After so many deliveries a message that fails again is given up.
    pub deliveries_max: u32,
}

/// The most that jitter adds, as a part of the wait: 1/4.
const JITTER_DIVISOR: u64 = 4;

impl Default for RetryPolicy {
    fn default() -> Self {
        Self {
            base: Duration::from_secs(1),
            cap: Duration::from_mins(5),
            deliveries_max: 5,
        }
    }
}

impl RetryPolicy {
    /// How long a message must be idle before its next delivery. The jitter follows from the id,
    /// so that every consumer comes to the same answer about the same message.
    pub fn wait(&self, id: MessageId, deliveries: u32) -> Duration {
        let doublings = deliveries.saturating_sub(1).min(31);
        let wait = self.base.saturating_mul(1 << doublings).min(self.cap);
        let wait_ms = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
        let jitter_ms = wait_ms / JITTER_DIVISOR;
        let jitter = spread(id, deliveries) % jitter_ms.saturating_add(1).max(1);
        Duration::from_millis(wait_ms.saturating_add(jitter))
    }

    /// How many messages may be processed together after so many deliveries. A batch that killed
    /// its consumer is taken apart, so that one poisonous message does not use up the attempts of
    /// its neighbours.
    pub fn batch_max(deliveries: u32, batch_max: usize) -> usize {
        match deliveries {
            0 | 1 => batch_max,
            2 => batch_max.div_ceil(8),
            3 => batch_max.div_ceil(64),
            _ => 1,
        }
    }
}

/// Spreads ids evenly over all numbers (the finaliser of `SplitMix64`).
fn spread(id: MessageId, deliveries: u32) -> u64 {
    let mut bits = id.major.rotate_left(32) ^ id.minor ^ (u64::from(deliveries) << 48);
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_cap_and_jitter_adds_at_most_a_quarter() {
        let policy = RetryPolicy {
            base: Duration::from_secs(1),
            cap: Duration::from_secs(30),
            deliveries_max: 5,
        };
        for (deliveries, seconds) in [(0, 1), (1, 1), (2, 2), (3, 4), (5, 16), (6, 30), (99, 30)] {
            for minor in 0..100 {
                let wait = policy.wait(MessageId { major: 1, minor }, deliveries);
                let least = Duration::from_secs(seconds);
                assert!(
                    wait >= least && wait <= least * 5 / 4,
                    "{deliveries}: {wait:?}"
                );
            }
        }
    }

    #[test]
    fn jitter_spreads_messages_that_failed_together() {
        let policy = RetryPolicy::default();
        let waits: std::collections::BTreeSet<_> = (0..100)
            .map(|minor| policy.wait(MessageId { major: 7, minor }, 1))
            .collect();
        assert!(waits.len() > 50, "{}", waits.len());
    }

    #[test]
    fn a_batch_that_came_back_is_taken_apart() {
        let sizes: Vec<usize> = (1..=5)
            .map(|deliveries| RetryPolicy::batch_max(deliveries, 512))
            .collect();
        assert_eq!(sizes, [512, 64, 8, 1, 1]);
    }
}
