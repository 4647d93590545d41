//! Aborting at a passage of a point.

use std::fmt;
use std::io::Write as _;
use std::str::FromStr;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::CrashPoint;

/// Where to abort, and at which passage. Written as `<point>:<n>`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Arming {
    /// The point.
    pub point: CrashPoint,
    /// The passage, from 1.
    pub passage: u64,
}

/// What cannot be armed.
#[derive(Debug, thiserror::Error)]
#[error("{0} is not <point>:<n> with a known point and a number from 1; known are {known}", known = known())]
pub struct InvalidArming(String);

struct Armed {
    arming: Arming,
    passed: AtomicU64,
}

static ARMED: OnceLock<Armed> = OnceLock::new();

/// Has this process abort at a passage. Only the first call counts.
pub fn arm(arming: Arming) {
    ARMED.get_or_init(|| Armed {
        arming,
        passed: AtomicU64::new(0),
    });
}

/// Passes a point; does not return from the passage that is armed.
pub fn reached(point: CrashPoint) {
    let Some(armed) = ARMED.get().filter(|armed| armed.arming.point == point) else {
        return;
    };
    let passage = 1 + armed.passed.fetch_add(1, Ordering::Relaxed);
    if passage == armed.arming.passage {
        // The last words are for whoever reads the log; there is nobody to tell if they fail.
        writeln!(std::io::stderr(), "crashing at {}", armed.arming).ok();
        std::process::abort();
    }
}

impl fmt::Display for Arming {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.point, self.passage)
    }
}

impl FromStr for Arming {
    type Err = InvalidArming;

    fn from_str(text: &str) -> Result<Self, InvalidArming> {
        let invalid = || InvalidArming(text.to_owned());
        let (name, passage) = text.split_once(':').ok_or_else(invalid)?;
        let mut points = CrashPoint::ALL.iter().copied();
        let point = points.find(|point| point.as_str() == name);
        let passage = passage.parse().ok().filter(|passage| *passage > 0);
        Ok(Self {
            point: point.ok_or_else(invalid)?,
            passage: passage.ok_or_else(invalid)?,
        })
    }
}

fn known() -> String {
    let names: Vec<&str> = CrashPoint::ALL.iter().map(|point| point.as_str()).collect();
    names.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_arming_is_read_as_it_is_written() {
        for &point in CrashPoint::ALL {
            let arming = Arming { point, passage: 3 };
            assert_eq!(arming.to_string().parse::<Arming>().unwrap(), arming);
        }
    }

    #[test]
    fn what_names_no_point_or_no_passage_is_refused_with_what_is_known() {
        for text in [
            "",
            "bus.trimmed",
            "bus.trimmed:0",
            "bus.trimmed:x",
            "nowhere:1",
        ] {
            let problem = text.parse::<Arming>().unwrap_err().to_string();
            assert!(problem.contains("stage.settled"), "{problem}");
        }
    }

    #[test]
    fn points_that_are_not_armed_are_passed() {
        for &point in CrashPoint::ALL {
            reached(point);
        }
    }
}
