//! A message that was given up, with where it came from and why.

use crate::fields::message;
use crate::time::UnixMillis;

/// Begins the name of every field that a dead letter adds to the message's own.
pub const DEAD_LETTER_PREFIX: &str = "dlq_";

/// The last field of a message that was a dead letter and was published again: the id under which
/// it was first published in its topic. Whoever applies effects once goes by that id, for the
/// message may have had its effects before it was given up. The name is the bus's own.
pub const REDRIVEN_FROM: &str = "redriven_from";

message! {
    /// A dead letter in `<topic>.dlq`. Its `extra` fields are the message as it was.
    DeadLetter {
        /// Why, as a stable code such as `undecodable`.
        reason = "dlq_reason": String,
        /// What went wrong, for a person.
        error = "dlq_error": String,
        /// The topic it was on.
        stream = "dlq_stream": String,
        /// Its id there.
        id = "dlq_id": String,
        /// The consumer group that gave it up.
        group = "dlq_group": String,
        /// How often it was delivered.
        attempts = "dlq_attempts": u32,
        /// When its processing first failed.
        first_failed_at = "dlq_first_failed_at": UnixMillis,
        /// When it was given up.
        failed_at = "dlq_failed_at": UnixMillis,
        /// The consumer that gave it up.
        worker = "dlq_worker": String,
    } optional {
        /// Which part of a message it is that was too large for one letter, such as `1/3`.
        part = "dlq_part": String,
    }
}
