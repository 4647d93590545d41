//! Flushers that hang.

use anyhow::Result;

use super::Round;
use crate::faults::Fault;
use crate::feedback::Deployment;
use crate::feedback::deployment::LEASE;
use crate::mill::Mill as _;
use crate::round::last;

pub(super) fn all() -> Vec<Fault<Deployment>> {
    vec![
        Fault::new("a flusher hangs for longer than its leases", hang_one)
            .small_on_sqlite()
            .small_on_mongodb(),
        Fault::new(
            "every flusher hangs for longer than its leases",
            |round: &mut Round<'_>| {
                round.send_part(20)?;
                hang(round, &[0, 1])
            },
        ),
        Fault::new(
            "four flushers, two of them hang",
            |round: &mut Round<'_>| {
                round.mill.double()?;
                hang_one(round)?;
                hang(round, &[0, 1])
            },
        )
        .alone()
        .small_on_postgres(),
    ]
}

/// The other takes over what it holds; when it comes back it believes that it still holds it.
fn hang_one(round: &mut Round<'_>) -> Result<()> {
    round.send_part(20)?;
    hang(round, &[0])
}

fn hang(round: &mut Round<'_>, which: &[usize]) -> Result<()> {
    for &number in which {
        round.mill.flusher(number)?.process.pause()?;
    }
    last(3 * LEASE);
    for &number in which {
        round.mill.flusher(number)?.process.resume()?;
    }
    Ok(())
}
