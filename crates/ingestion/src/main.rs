//! ingestion
fn main() {}
