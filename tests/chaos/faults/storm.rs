//! Several faults in a row: the next one comes before the last one is got over.

use anyhow::{Context as _, Result};

use super::Fault;
use crate::mill::Mill;
use crate::round::Round;
use crate::table::say;

/// Storms of a full run.
const STORMS: usize = 4;
/// Faults of a storm.
const FAULTS: usize = 6;
/// More than elsewhere, so that events come until the end of it.
const EVENTS: u64 = 2_000;

/// Of faults that a function gives.
pub(crate) fn all<M: Mill>(of: impl Fn() -> Vec<Fault<M>> + Copy + 'static) -> Vec<Fault<M>> {
    let storm = |number| {
        let name = format!("storm {number}: {FAULTS} faults in a row, at random");
        let fault = Fault::new(name, move |round| rage(round, of())).with_events(EVENTS);
        if number == 1 {
            fault.small_on_postgres()
        } else {
            fault
        }
    };
    (1..=STORMS).map(storm).collect()
}

fn rage<M: Mill>(round: &mut Round<'_, M>, mut faults: Vec<Fault<M>>) -> Result<()> {
    faults.retain(|fault| !fault.alone);
    for _ in 0..FAULTS {
        let number = round.random.usize(..faults.len());
        let fault = faults.get(number).context("no faults")?;
        say(&format!("    … {}", fault.name));
        (fault.inject)(round).with_context(|| fault.name.clone())?;
    }
    Ok(())
}
