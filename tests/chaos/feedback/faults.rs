//! The catalogue of faults of the flow of feedback.

mod crashes;
mod flushers;
mod items;
mod kafka;
mod mongodb;
mod stores;

use super::deployment::Deployment;
use super::world::World;
use crate::faults::{Fault, networks, processes, redis, sql, storm};
use crate::mill::{Backend, Before};
use crate::scale::Scale;

/// What a fault can reach.
type Round<'a> = crate::round::Round<'a, Deployment>;

/// The faults of a run in one world.
pub(super) fn all(world: World, scale: Scale) -> Vec<Fault<Deployment>> {
    let mut faults = crashes::all(world);
    // The other worlds on Kafka differ in what waits where, which is what crashes are about.
    if scale == Scale::Full || !world.kafka || world.batches == "redis" {
        faults.extend(without_crashes(world));
    }
    faults.extend(items::all(scale));
    if world.kafka {
        let storm = kafka::storm_of_members(scale);
        let small = world.batches == "redis";
        faults.push(if small {
            storm.small_on_mongodb()
        } else {
            storm
        });
    }
    faults.extend(storm::all(move || without_crashes(world)));
    faults
}

fn without_crashes(world: World) -> Vec<Fault<Deployment>> {
    let mut faults = processes::all();
    faults.extend(flushers::all(world));
    faults.extend(redis::all());
    faults.extend(networks::before_redis());
    if world.batches == "redis" {
        faults.extend(stores::all(world));
    }
    if world.kafka {
        faults.extend(kafka::all());
        faults.extend(networks::before_documents(Before::Kafka));
    }
    match world.documents {
        Backend::Sqlite => {}
        Backend::Postgres => {
            faults.extend(sql::all());
            faults.extend(networks::before_documents(Before::Sql));
        }
        Backend::MongoDb => {
            faults.extend(mongodb::all());
            faults.extend(networks::before_documents(Before::MongoDb));
        }
    }
    faults
}
