//! How much is tried: the one place that reads it.

use std::time::Duration;

use anyhow::{Result, bail};
use testkit::servers::environment;

/// `small` (the default, for every run of the tests) or `full` (`make chaos`).
const VARIABLE: &str = "CHAOS";
/// A run is repeated by the seed that it printed.
const SEED_VARIABLE: &str = "CHAOS_SEED";
/// Only the faults whose names contain this; the others are left out and said to be.
const ONLY_VARIABLE: &str = "CHAOS_ONLY";

/// How much is tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scale {
    /// Some faults of every kind, with few events.
    Small,
    /// Every fault, with at least 100,000 events in all.
    Full,
}

impl Scale {
    /// What the environment says.
    pub(crate) fn chosen() -> Result<Self> {
        match environment(VARIABLE).as_deref() {
            None | Some("small") => Ok(Self::Small),
            Some("full") => Ok(Self::Full),
            Some(other) => bail!("{VARIABLE}={other}: allowed are small and full"),
        }
    }

    /// Events that a round sends at least.
    pub(crate) fn events(self) -> u64 {
        match self {
            Self::Small => 300,
            Self::Full => 800,
        }
    }

    /// For how long a worker hangs; longer than its lease.
    pub(crate) fn hang(self) -> Duration {
        match self {
            Self::Small => Duration::from_secs(3),
            Self::Full => Duration::from_mins(1),
        }
    }

    /// For how long a server or network is bad.
    pub(crate) fn outage(self) -> Duration {
        match self {
            Self::Small => Duration::from_secs(2),
            Self::Full => Duration::from_secs(4),
        }
    }
}

/// The seed of all random choices.
pub(crate) fn seed() -> Result<u64> {
    environment(SEED_VARIABLE).map_or_else(
        || Ok(fastrand::u64(..1_000_000)),
        |text| Ok(text.parse::<u64>()?),
    )
}

/// Which faults are wanted, if not all.
pub(crate) fn only() -> Option<String> {
    environment(ONLY_VARIABLE)
}
