//! What holds between two servers, on real Redis and on memory, which stands for Kafka.

#[path = "across/bench.rs"]
mod bench;
#[path = "across/left_behind.rs"]
mod left_behind;
#[path = "across/migrating.rs"]
mod migrating;
#[path = "across/outputs.rs"]
mod outputs;
#[path = "across/refusing.rs"]
mod refusing;
