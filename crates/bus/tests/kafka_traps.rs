//! What Kafka and its client do to the unwary, each with a test against a real broker that fails
//! without the remedy which its comment names.

#[path = "support/notes.rs"]
mod notes;
#[path = "support/readers.rs"]
mod readers;

#[path = "kafka_traps/bench.rs"]
mod bench;
#[path = "kafka_traps/groups.rs"]
mod groups;
#[path = "kafka_traps/letters.rs"]
mod letters;
#[path = "kafka_traps/outages.rs"]
mod outages;
#[path = "kafka_traps/records.rs"]
mod records;
#[path = "kafka_traps/storm.rs"]
mod storm;
