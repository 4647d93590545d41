//! The catalogue of faults.

#[path = "faults/crashes.rs"]
mod crashes;
#[path = "faults/groups.rs"]
mod groups;
#[path = "faults/latency.rs"]
mod latency;
#[path = "faults/networks.rs"]
mod networks;
#[path = "faults/processes.rs"]
mod processes;
#[path = "faults/redis.rs"]
mod redis;
#[path = "faults/sql.rs"]
mod sql;
#[path = "faults/storm.rs"]
mod storm;

use anyhow::Result;

use crate::round::Round;
use crate::scale::Scale;

/// How events are sent while a fault happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Load {
    /// All at once.
    Burst,
    /// As long as the fault lasts.
    Steady,
}

/// Brings a fault about and ends it.
type Inject = Box<dyn Fn(&mut Round<'_>) -> Result<()>>;

/// Something that goes wrong.
pub(crate) struct Fault {
    pub(crate) name: String,
    pub(crate) load: Load,
    /// How many events at least, if not as many as usual.
    pub(crate) events: Option<u64>,
    /// Whether it is part of the small run on SQLite.
    small_on_sqlite: bool,
    /// Whether it is part of the small run on PostgreSQL.
    small_on_postgres: bool,
    /// Whether it needs a round of its own.
    alone: bool,
    pub(crate) inject: Inject,
}

impl Fault {
    fn new(
        name: impl Into<String>,
        inject: impl Fn(&mut Round<'_>) -> Result<()> + 'static,
    ) -> Self {
        Self {
            name: name.into(),
            load: Load::Steady,
            events: None,
            small_on_sqlite: false,
            small_on_postgres: false,
            alone: false,
            inject: Box::new(inject),
        }
    }

    fn burst(mut self) -> Self {
        self.load = Load::Burst;
        self
    }

    fn with_events(mut self, events: u64) -> Self {
        self.events = Some(events);
        self
    }

    fn alone(mut self) -> Self {
        self.alone = true;
        self
    }

    fn small_on_sqlite(mut self) -> Self {
        self.small_on_sqlite = true;
        self
    }

    fn small_on_postgres(mut self) -> Self {
        self.small_on_postgres = true;
        self
    }
}

/// The faults of a run over one database.
pub(crate) fn all(scale: Scale, postgres: bool) -> Vec<Fault> {
    let mut faults = vec![latency::one_at_a_time()];
    faults.extend(crashes::all());
    faults.extend(without_crashes(postgres));
    faults.extend(storm::all(postgres));
    faults.retain(|fault| {
        let small = if postgres {
            fault.small_on_postgres
        } else {
            fault.small_on_sqlite
        };
        scale == Scale::Full || small
    });
    faults
}

fn without_crashes(postgres: bool) -> Vec<Fault> {
    let mut faults = processes::all();
    faults.extend(redis::all());
    faults.extend(groups::all());
    faults.extend(networks::before_redis());
    if postgres {
        faults.extend(sql::all());
        faults.extend(networks::before_sql());
    }
    faults
}
