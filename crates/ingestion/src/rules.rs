//! What an event may hold: pure rules, which both the front door and the normaliser apply.
//!
//! They read no clock and touch no server; the current time is a parameter.

mod decimal;
pub(crate) mod json_shape;
pub(crate) mod money;
pub(crate) mod payload;
pub(crate) mod rejection;
pub(crate) mod timestamp;
