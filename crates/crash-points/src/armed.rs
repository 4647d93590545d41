//! Aborting at a passage of a point.

use std::fmt;
use std::io::Write as _;
use std::str::FromStr;
use std::sync::{Mutex, OnceLock, PoisonError};

use crate::CrashPoint;

/// Where to abort, written as `<point>:<n>`: at the n-th passage of the point. Several of them,
/// separated by commas, are counted one after the other; the last one aborts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Arming {
    steps: Vec<Step>,
}

/// Passages of one point.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Step {
    point: CrashPoint,
    passages: u64,
}

/// What cannot be armed.
#[derive(Debug, thiserror::Error)]
#[error("{0} is not <point>:<n> with a known point and a number from 1; known are {known}", known = known())]
pub struct InvalidArming(String);

struct Armed {
    arming: Arming,
    /// Steps that are done, and passages in the next one.
    progress: Mutex<(usize, u64)>,
}

static ARMED: OnceLock<Armed> = OnceLock::new();

/// Has this process abort at a passage. Only the first call counts.
pub fn arm(arming: Arming) {
    ARMED.get_or_init(|| Armed {
        arming,
        progress: Mutex::default(),
    });
}

/// Passes a point; does not return from the passage that is armed.
pub fn reached(point: CrashPoint) {
    let Some(armed) = ARMED.get() else { return };
    if armed.passes(point) {
        // The last words are for whoever reads the log; there is nobody to tell if they fail.
        writeln!(std::io::stderr(), "crashing at {}", armed.arming).ok();
        std::process::abort();
    }
}

impl Armed {
    /// Counts a passage; gives whether it was the last one.
    fn passes(&self, point: CrashPoint) -> bool {
        let mut progress = self.progress.lock().unwrap_or_else(PoisonError::into_inner);
        let (done, passed) = *progress;
        let Some(step) = self.arming.steps.get(done) else {
            return false;
        };
        if step.point != point {
            return false;
        }
        *progress = if passed + 1 < step.passages {
            (done, passed + 1)
        } else {
            (done + 1, 0)
        };
        progress.0 == self.arming.steps.len()
    }
}

impl fmt::Display for Arming {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, Step { point, passages }) in self.steps.iter().enumerate() {
            let comma = if number == 0 { "" } else { "," };
            write!(f, "{comma}{point}:{passages}")?;
        }
        Ok(())
    }
}

impl FromStr for Arming {
    type Err = InvalidArming;

    fn from_str(text: &str) -> Result<Self, InvalidArming> {
        let steps: Option<Vec<Step>> = text.split(',').map(step).collect();
        let steps = steps.ok_or_else(|| InvalidArming(text.to_owned()))?;
        Ok(Self { steps })
    }
}

fn step(text: &str) -> Option<Step> {
    let (name, passages) = text.split_once(':')?;
    let mut points = CrashPoint::ALL.iter().copied();
    Some(Step {
        point: points.find(|point| point.as_str() == name)?,
        passages: passages.parse().ok().filter(|passages| *passages > 0)?,
    })
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
        for point in CrashPoint::ALL {
            let text = format!("{point}:3,redis.replied:1");
            assert_eq!(text.parse::<Arming>().unwrap().to_string(), text);
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
            "bus.trimmed:1,",
        ] {
            let problem = text.parse::<Arming>().unwrap_err().to_string();
            assert!(problem.contains("stage.settled"), "{problem}");
        }
    }

    #[test]
    fn steps_are_counted_one_after_the_other() {
        let armed = Armed {
            arming: "bus.claimed:2,redis.replied:1".parse().unwrap(),
            progress: Mutex::default(),
        };
        let passages = [
            (CrashPoint::RedisReplied, false),
            (CrashPoint::BusClaimed, false),
            (CrashPoint::RedisReplied, false),
            (CrashPoint::BusClaimed, false),
            (CrashPoint::BusClaimed, false),
            (CrashPoint::RedisReplied, true),
            (CrashPoint::RedisReplied, false),
        ];
        for (number, (point, last)) in passages.into_iter().enumerate() {
            assert_eq!(armed.passes(point), last, "{number}");
        }
    }

    #[test]
    fn points_that_are_not_armed_are_passed() {
        for &point in CrashPoint::ALL {
            reached(point);
        }
    }
}
