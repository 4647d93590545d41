//! Estimates that are kept in Redis.

use super::part::key;
use crate::ids::{BrandId, EventType};

key! {
    /// A HyperLogLog of the profiles that had an event of one type on one UTC day. Days can be
    /// counted together, also of several types.
    UniqueProfilesKey = "analytics:unique:{brandId}:{eventType}:{epochDay}" {
        /// The brand.
        brand_id: BrandId,
        /// The type of the events.
        event_type: EventType,
        /// Days since 1970-01-01.
        epoch_day: i64
    } "analytics:unique"
}
