//! Says that something repeated does not work: when it begins, now and then while it lasts, and when
//! it is over.

use std::time::{Duration, Instant};

use crate::error::BusError;
use crate::server::Membership;

/// While it lasts, it is said again so often.
const REMINDER: Duration = Duration::from_mins(1);

/// What does not work, for one member of a group.
#[derive(Debug)]
pub(crate) struct Trouble {
    what: &'static str,
    /// Failures in a row, and when they were spoken of last.
    lasting: Option<(u64, Instant)>,
}

/// What is to be said.
#[derive(Debug, PartialEq, Eq)]
enum Word {
    Nothing,
    Failing(u64),
    Over(u64),
}

impl Trouble {
    /// Nothing is wrong yet with this.
    pub(crate) fn with(what: &'static str) -> Self {
        Self {
            what,
            lasting: None,
        }
    }

    /// Learns how it went this time.
    pub(crate) fn observe(&mut self, member: &Membership, result: Result<(), BusError>) {
        let Membership { topic, group, .. } = member;
        let word = self.word(result.is_err(), Instant::now());
        match (word, result) {
            (Word::Failing(failures), Err(error)) => {
                tracing::warn!(topic, group, failures, %error, "{} failed; trying again", self.what);
            }
            (_, Err(error)) => tracing::debug!(topic, group, %error, "{} failed again", self.what),
            (Word::Over(failures), Ok(())) => {
                tracing::info!(topic, group, failures, "{} works again", self.what);
            }
            (Word::Nothing | Word::Failing(_), Ok(())) => {}
        }
    }

    fn word(&mut self, failed: bool, now: Instant) -> Word {
        match (failed, self.lasting.take()) {
            (false, None) => Word::Nothing,
            (false, Some((failures, _))) => Word::Over(failures),
            (true, None) => {
                self.lasting = Some((1, now));
                Word::Failing(1)
            }
            (true, Some((failures, said))) => {
                let failures = failures.saturating_add(1);
                let again = now.saturating_duration_since(said) >= REMINDER;
                self.lasting = Some((failures, if again { now } else { said }));
                if again {
                    Word::Failing(failures)
                } else {
                    Word::Nothing
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trouble_is_spoken_of_when_it_begins_each_minute_and_when_it_is_over() {
        let start = Instant::now();
        let mut trouble = Trouble::with("claiming");
        for (failed, seconds, expected) in [
            (false, 0, Word::Nothing),
            (true, 1, Word::Failing(1)),
            (true, 2, Word::Nothing),
            (true, 60, Word::Nothing),
            (true, 61, Word::Failing(4)),
            (true, 62, Word::Nothing),
            (false, 63, Word::Over(5)),
            (false, 64, Word::Nothing),
            (true, 65, Word::Failing(1)),
        ] {
            let now = start + Duration::from_secs(seconds);
            assert_eq!(trouble.word(failed, now), expected, "after {seconds} s");
        }
    }
}
