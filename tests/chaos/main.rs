//! Everything that can break is broken while an independent producer sends; afterwards everything
//! accepted had its effect exactly once, every message is accounted for, and nothing waits for ever.
//! A table at the end says what each fault came to.

mod events;
mod faults;
mod feedback;
mod findings;
mod mill;
mod producer;
mod round;
mod run;
mod scale;
mod table;
mod worker;

use anyhow::Result;
use testkit::servers::or_skip;
use tests::{SqlServer, sqlite};

use crate::feedback::World;
use crate::run::Chaos;

#[test]
fn everything_that_can_break_is_survived_on_sqlite() -> Result<()> {
    Chaos::new("sqlite")?.survive(|| events::start(or_skip("a folder", sqlite())))
}

#[test]
fn everything_that_can_break_is_survived_on_postgres() -> Result<()> {
    Chaos::new("postgres")?.survive(|| events::start(SqlServer::postgres()))
}

#[test]
fn feedback_survives_everything_on_redis_and_sqlite() -> Result<()> {
    feedback::survive(World::REDIS_SQLITE)
}

#[test]
fn feedback_survives_everything_on_redis_and_postgres() -> Result<()> {
    feedback::survive(World::REDIS_POSTGRES)
}

#[test]
fn feedback_survives_everything_on_kafka_redis_and_mongodb() -> Result<()> {
    feedback::survive(World::KAFKA_REDIS_MONGODB)
}

#[test]
fn feedback_survives_everything_on_kafka_memory_and_mongodb() -> Result<()> {
    feedback::survive(World::KAFKA_MEMORY_MONGODB)
}

#[test]
fn feedback_survives_everything_on_kafka_and_mongodb_alone() -> Result<()> {
    feedback::survive(World::KAFKA_MONGODB_MONGODB)
}
