//! Faults, and those that everything must survive.

pub(crate) mod networks;
pub(crate) mod processes;
pub(crate) mod redis;
pub(crate) mod sql;
pub(crate) mod storm;

use anyhow::Result;

use crate::mill::{Backend, Mill};
use crate::round::Round;

/// How much is sent while a fault happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Load {
    /// All at once.
    Burst,
    /// As long as the fault lasts.
    Steady,
}

/// Brings a fault about and ends it.
type Inject<M> = Box<dyn Fn(&mut Round<'_, M>) -> Result<()>>;

/// Something that goes wrong.
pub(crate) struct Fault<M: Mill> {
    pub(crate) name: String,
    pub(crate) load: Load,
    /// How much is sent at least, if not as much as usual.
    pub(crate) events: Option<u64>,
    /// On what every run of the tests tries it.
    pub(crate) small: Vec<Backend>,
    /// Whether it needs a round of its own.
    pub(crate) alone: bool,
    pub(crate) inject: Inject<M>,
}

impl<M: Mill> Fault<M> {
    pub(crate) fn new(
        name: impl Into<String>,
        inject: impl Fn(&mut Round<'_, M>) -> Result<()> + 'static,
    ) -> Self {
        Self {
            name: name.into(),
            load: Load::Steady,
            events: None,
            small: Vec::new(),
            alone: false,
            inject: Box::new(inject),
        }
    }

    pub(crate) fn burst(mut self) -> Self {
        self.load = Load::Burst;
        self
    }

    pub(crate) fn with_events(mut self, events: u64) -> Self {
        self.events = Some(events);
        self
    }

    pub(crate) fn alone(mut self) -> Self {
        self.alone = true;
        self
    }

    pub(crate) fn small_on(mut self, backend: Backend) -> Self {
        self.small.push(backend);
        self
    }

    pub(crate) fn small_on_sqlite(self) -> Self {
        self.small_on(Backend::Sqlite)
    }

    pub(crate) fn small_on_postgres(self) -> Self {
        self.small_on(Backend::Postgres)
    }

    pub(crate) fn small_on_mongodb(self) -> Self {
        self.small_on(Backend::MongoDb)
    }
}
