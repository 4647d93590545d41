//! The benches of feedback beyond its batches.

use anyhow::Result;
use testkit::servers::{MongoServer, or_skip};
use tests::{SqlServer, sqlite};

use crate::feedback_flow::{Way, flow};
use crate::feedback_write::{beside_update, milliseconds};
use crate::measure::{Sample, Spread};
use crate::report::{Figures, Row};
use crate::suite::figures;

const WAYS: [Way; 4] = [
    Way {
        name: "feedback flow: Redis, Redis, SQLite",
        kafka_and_mongodb: false,
        processes: 1,
    },
    Way {
        name: "feedback flow: Redis, Redis, PostgreSQL",
        kafka_and_mongodb: false,
        processes: 1,
    },
    Way {
        name: "feedback flow: Kafka, Redis, MongoDB",
        kafka_and_mongodb: true,
        processes: 1,
    },
    Way {
        name: "… with 4 processes",
        kafka_and_mongodb: true,
        processes: 4,
    },
];

/// The whole flow, in turns.
pub(crate) async fn flow_rows(repetitions: usize) -> Result<Vec<Row>> {
    let mut samples: [Vec<Sample>; WAYS.len()] = Default::default();
    for _ in 0..repetitions {
        for (samples, way) in samples.iter_mut().zip(WAYS) {
            let sql = if way.name.ends_with("PostgreSQL") {
                SqlServer::postgres()
            } else {
                or_skip("a folder", sqlite())
            };
            if let Some(sql) = sql {
                samples.push(flow(way, sql).await?);
            }
        }
    }
    let rows = samples.iter().zip(WAYS);
    Ok(rows
        .map(|(samples, way)| figures(way.name, "items/s", Figures::of_samples(samples)))
        .collect())
}

/// Writing what one flush has.
pub(crate) async fn write_rows(repetitions: usize) -> Result<Vec<Row>> {
    let Some(mongo) = or_skip("MongoDB", MongoServer::start()) else {
        return Ok(Vec::new());
    };
    let turns = beside_update(&mongo, repetitions).await?;
    let figures = |samples: &[Sample]| Figures {
        value: Spread::of(samples.iter().map(milliseconds)),
        ..Figures::of_samples(samples)
    };
    let pairs = turns.ours.iter().zip(&turns.limit);
    let ratio = Spread::of(pairs.map(|(ours, limit)| limit.rate / ours.rate));
    Ok(vec![Row {
        bench: "1,000 documents to MongoDB, beside update",
        persistence: "journal",
        unit: "ms",
        limit: Some(figures(&turns.limit)),
        ours: figures(&turns.ours),
        ratio: Some(ratio),
        target: None,
    }])
}
