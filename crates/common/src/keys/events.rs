//! Events that were seen.

use uuid::Uuid;

use super::part::key;
use crate::ids::{BrandId, EventId};

key! {
    /// The name of the last stage that published the event; a repeat of it is dropped there.
    EventSeenKey = "event:seen:{brandId}:{eventId}" {
        /// Whose event it is.
        brand_id: BrandId,
        /// The event.
        event_id: EventId
    } "event:seen"
}

key! {
    /// Claimed while the same origins are not proposed for a merge again.
    MergeProposedKey = "merge:proposed:{requestId}" {
        /// Follows from the origins.
        request_id: Uuid
    } "merge:proposed"
}
