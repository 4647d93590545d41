//! event-processors
fn main() {}
