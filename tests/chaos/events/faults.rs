//! The catalogue of faults of the flow of events.

mod crashes;
mod groups;
mod latency;
mod processes;

use super::deployment::Deployment;
use crate::faults::{Fault, networks, processes as any_processes, redis, sql, storm};
use crate::mill::{Backend, Before};

/// What a fault can reach.
type Round<'a> = crate::round::Round<'a, Deployment>;

/// The faults of a run over one database.
pub(crate) fn all(backend: Backend) -> Vec<Fault<Deployment>> {
    let mut faults = vec![latency::one_at_a_time()];
    faults.extend(crashes::all());
    faults.extend(without_crashes(backend));
    faults.extend(storm::all(move || without_crashes(backend)));
    faults
}

fn without_crashes(backend: Backend) -> Vec<Fault<Deployment>> {
    let mut faults = any_processes::all();
    faults.extend(processes::all());
    faults.extend(redis::all());
    faults.extend(groups::all());
    faults.extend(networks::before_redis());
    if backend == Backend::Postgres {
        faults.extend(sql::all());
        faults.extend(networks::before_documents(Before::Sql));
    }
    faults
}
