//! An event on its way: as accepted, as normalised, or as rejected.

use crate::fields::{JsonText, message};
use crate::ids::{BrandId, EventId, EventType, ProfileId};
use crate::time::UnixMillis;

message! {
    /// An accepted event, before anything is known about it. Topic `events.raw`.
    RawEvent {
        /// The event's id; a sender's id that is no UUID becomes one by name.
        event_id = "event_id": EventId,
        /// Whose event it is.
        brand_id = "brand_id": BrandId,
        /// What happened.
        event_type = "event_type": EventType,
        /// A JSON object, as the sender wrote it.
        payload = "payload": JsonText,
        /// When it happened, ISO 8601; the time of acceptance when the sender gave none.
        timestamp = "timestamp": String,
    } optional {
        /// A JSON object of identifiers, when the sender gave one beside the payload.
        identifiers = "identifiers": JsonText,
        /// The sender's own id, when it is not a UUID.
        client_event_id = "client_event_id": String,
        /// The sender's time stamp before its clock was corrected.
        original_timestamp = "original_timestamp": String,
        /// W3C trace context.
        traceparent = "traceparent": String,
    }
}

message! {
    /// An event in normal form, attributed to a person where it can be. Topic `events.normalized`.
    NormalizedEvent {
        /// The event's id.
        event_id = "event_id": EventId,
        /// Whose event it is.
        brand_id = "brand_id": BrandId,
        /// What happened.
        event_type = "event_type": EventType,
        /// The person as known when the event was normalised.
        profile_id = "profile_id": Option<ProfileId>,
        /// A JSON array of `{type, value, raw, rule_version}`, strongest first.
        identifiers = "identifiers": JsonText,
        /// The payload as a JSON object, its money in minor units.
        normalized_payload = "normalized_payload": JsonText,
        /// When it happened.
        timestamp = "timestamp": UnixMillis,
    } optional {
        /// The owner of the strongest identifier: facts are booked to it and never move.
        origin_id = "origin_id": ProfileId,
        /// A JSON array of codes: what was left out or changed on the way to the normal form.
        warnings = "warnings": JsonText,
        /// The sender's own id, when it is not a UUID.
        client_event_id = "client_event_id": String,
        /// W3C trace context.
        traceparent = "traceparent": String,
    }
}

message! {
    /// An accepted event that does not count, and why. Topic `events.rejected`.
    RejectedEvent {
        /// The event's id.
        event_id = "event_id": EventId,
        /// Whose event it is.
        brand_id = "brand_id": BrandId,
        /// What happened.
        event_type = "event_type": EventType,
        /// The payload as accepted.
        payload = "payload": JsonText,
        /// When it happened, as accepted.
        timestamp = "timestamp": String,
        /// Why, as a stable code such as `invalid_amount`.
        reason = "reason": String,
        /// Why, as a sentence for a person.
        message = "message": String,
        /// When it was rejected.
        rejected_at = "rejected_at": UnixMillis,
        /// The consumer group that rejected it.
        rejected_by = "rejected_by": String,
    } optional {
        /// W3C trace context.
        traceparent = "traceparent": String,
    }
}
