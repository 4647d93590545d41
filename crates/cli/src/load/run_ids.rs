//! Ids of the events of one run, made so that each tells its run and its number: whoever sees one
//! knows without a table whether and when it was sent.

use uuid::Uuid;

/// Where a UUID has its version: 8, "custom", of RFC 9562.
const VERSION_MASK: u64 = 0xf000;
const VERSION: u64 = 0x8000;
/// Where it has its variant.
const VARIANT_MASK: u64 = 0xc000_0000_0000_0000;
const VARIANT: u64 = 0x8000_0000_0000_0000;

/// A run, told from all others by 60 random bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Run(u64);

impl Run {
    /// A new one.
    pub(super) fn new() -> Self {
        let (random, _) = Uuid::new_v4().as_u64_pair();
        Self(random & !VERSION_MASK | VERSION)
    }

    /// The id of the event of that number.
    pub(super) fn event_id(self, number: u64) -> Uuid {
        Uuid::from_u64_pair(self.0, number & !VARIANT_MASK | VARIANT)
    }

    /// The number of an event, if it is one of this run.
    pub(super) fn number_of(self, event_id: Uuid) -> Option<u64> {
        let (run, number) = event_id.as_u64_pair();
        (run == self.0).then_some(number & !VARIANT_MASK)
    }
}

impl std::fmt::Display for Run {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_tells_its_number_to_its_own_run_only() {
        let (run, other) = (Run::new(), Run::new());
        for number in [0, 1, 499, u64::MAX >> 2] {
            let id = run.event_id(number);
            assert_eq!(id.get_version_num(), 8);
            assert_eq!(id.get_variant(), uuid::Variant::RFC4122);
            assert_eq!(run.number_of(id), Some(number));
            assert_eq!(other.number_of(id), None);
        }
        assert_eq!(run.number_of(Uuid::new_v4()), None);
    }
}
