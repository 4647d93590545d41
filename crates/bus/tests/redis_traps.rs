//! What Redis and its client do to the unwary, each with a test against a real server that fails
//! without the remedy which its comment names.

#[path = "support/notes.rs"]
mod notes;
#[path = "support/readers.rs"]
mod readers;

#[path = "redis_traps/bench.rs"]
mod bench;
#[path = "redis_traps/counting.rs"]
mod counting;
#[path = "redis_traps/groups.rs"]
mod groups;
#[path = "redis_traps/half_open.rs"]
mod half_open;
#[path = "redis_traps/healing.rs"]
mod healing;
#[path = "redis_traps/late_letters.rs"]
mod late_letters;
#[path = "redis_traps/letters.rs"]
mod letters;
#[path = "redis_traps/pending.rs"]
mod pending;
#[path = "redis_traps/publish_new.rs"]
mod publish_new;
#[path = "redis_traps/reading.rs"]
mod reading;
#[path = "redis_traps/scripts.rs"]
mod scripts;
#[path = "redis_traps/settings.rs"]
mod settings;
#[path = "redis_traps/settling.rs"]
mod settling;
