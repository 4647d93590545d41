//! The flow of feedback: the bus, batches, documents, events.

mod audit;
mod deployment;
mod faults;
mod given;
mod kafka;
mod mill;
mod redis_pair;
mod world;

use anyhow::Result;

pub(crate) use deployment::Deployment;
pub(crate) use world::World;

use crate::run::Chaos;

/// Tries everything in one world.
pub(crate) fn survive(world: World) -> Result<()> {
    Chaos::new(world.name)?.survive(|| Deployment::start(world))
}
