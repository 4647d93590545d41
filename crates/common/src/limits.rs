//! Limits that more than one program must agree on.

/// Events in one request at most.
pub const EVENTS_MAX: u16 = 500;
/// Bytes of one event at most.
pub const EVENT_BYTES_MAX: usize = 256 * 1024;
/// The largest amount, in minor units: ten trillion dollars. It keeps sums of 9,000 such amounts
/// within 64 bits, and amounts within the 15 digits that a JSON number carries exactly.
pub const AMOUNT_MINOR_MAX: i64 = 1_000_000_000_000_000;
