//! What was found wrong after a round.

/// What was found.
#[derive(Debug, Clone, Default)]
pub(crate) struct Findings {
    pub(crate) lost: i64,
    pub(crate) doubled: i64,
    /// Messages that nobody finishes.
    pub(crate) stuck: u64,
    /// Dead letters that the fault does not explain.
    pub(crate) dead: u64,
    /// By how much numbers that must be equal differ.
    pub(crate) difference: u64,
    pub(crate) notes: Vec<String>,
}

impl Findings {
    pub(crate) fn expect_equal(&mut self, what: &str, found: u64, expected: u64) {
        if found != expected {
            self.difference += found.abs_diff(expected);
            self.notes.push(format!("{what}: {found}, not {expected}"));
        }
    }
}
