//! The words of Millrace: ids, time units, messages, topics and Redis keys.
//!
//! A type is here when two crates must agree on it on the wire or in a store. This crate does no
//! I/O, reads no clock, writes no log and knows no runtime. The bytes it produces are pinned by
//! golden files in `tests/golden/`.

pub mod event_types;
pub mod fields;
pub mod ids;
pub mod keys;
pub mod limits;
pub mod messages;
pub mod time;
pub mod topics;
pub mod unavailable;

pub use fields::{DecodeError, FieldSink, FieldValue, Message, RawFields};
pub use ids::{
    AgentId, BrandId, EventId, EventType, Identifier, IdentifierType, InvalidText,
    ObservedIdentifier, ProfileId,
};
pub use time::{Clock, UnixMillis};
pub use topics::Topic;
pub use unavailable::Unavailable;
