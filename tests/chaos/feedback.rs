//! The flow of feedback: the bus, batches, documents, events.

mod audit;
mod deployment;
mod faults;
mod given;
mod kafka;
mod mill;
mod redis_pair;
mod world;

use std::io::Write as _;

use anyhow::Result;

pub(crate) use deployment::Deployment;
pub(crate) use world::World;

use crate::run::Chaos;
use crate::scale::Scale;

/// Tries everything in one world. Those on Kafka take minutes even for a few faults: all of their
/// faults are tried by `make chaos`, and none by the tests of every day.
pub(crate) fn survive(world: World) -> Result<()> {
    if world.kafka && Scale::chosen()? == Scale::Small {
        writeln!(
            std::io::stderr(),
            "{}: tried by make chaos only",
            world.name
        )?;
        return Ok(());
    }
    Chaos::new(world.name)?.survive(|| Deployment::start(world))
}
