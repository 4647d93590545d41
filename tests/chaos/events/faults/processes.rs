//! Workers that hang.

use anyhow::Result;

use super::Round;
use crate::events::Deployment;
use crate::events::deployment::LEASE;
use crate::faults::Fault;
use crate::mill::Mill as _;
use crate::round::last;
use crate::worker::Role;

pub(super) fn all() -> Vec<Fault<Deployment>> {
    let mut faults = vec![
        Fault::new("two of each worker, one of each hangs", hang_beside)
            .alone()
            .small_on_postgres(),
    ];
    faults.extend(Role::OF_EVENTS.map(|role| {
        let name = format!("{} hangs for longer than its lease", role.name());
        Fault::new(name, move |round| hang(round, role))
    }));
    faults
}

fn hang(round: &mut Round<'_>, role: Role) -> Result<()> {
    round.send_part(20)?;
    round.mill.worker(role)?.process.pause()?;
    last(3 * LEASE);
    round.mill.worker(role)?.process.resume()
}

/// The others take over what the hanging ones hold; when these come back they believe that they
/// still hold it.
fn hang_beside(round: &mut Round<'_>) -> Result<()> {
    round.mill.double()?;
    round.send_part(20)?;
    for role in [Role::Normalizer, Role::Processor] {
        round.mill.worker(role)?.process.pause()?;
    }
    last(round.scale.hang());
    for role in [Role::Normalizer, Role::Processor] {
        round.mill.worker(role)?.process.resume()?;
    }
    Ok(())
}
