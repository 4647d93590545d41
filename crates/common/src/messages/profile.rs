//! Requests to merge profiles, and what came of them.

use uuid::Uuid;

use crate::fields::{JsonText, message, wire_enum};
use crate::ids::{BrandId, EventId, ProfileId};
use crate::time::UnixMillis;

wire_enum! {
    /// Why two profiles should be one.
    MergeReason {
        /// One event showed identifiers of both.
        IdentifierMatch = "identifier_match",
        /// A person asked for it.
        ManualReview = "manual_review",
    }
}

message! {
    /// Several profiles that look like one person. Topic `profiles.merge_requests`.
    MergeRequest {
        /// The brand of all of them.
        brand_id = "brand_id": BrandId,
        /// A JSON array of profile ids, sorted.
        profile_ids = "profile_ids": JsonText,
        /// Why they should be one.
        reason = "reason": MergeReason,
        /// Whether a person must decide.
        requires_manual_review = "requires_manual_review": bool,
        /// When it was asked.
        timestamp = "timestamp": UnixMillis,
    } optional {
        /// The same for the same profiles and the same event.
        request_id = "request_id": Uuid,
        /// The event that showed them together.
        event_id = "event_id": EventId,
        /// A JSON array of `{type, value, profile_id}`: which identifier belongs to which profile.
        evidence = "evidence": JsonText,
        /// W3C trace context.
        traceparent = "traceparent": String,
    }
}

message! {
    /// A merge took effect. Topic `profiles.merged`.
    ProfileMerged {
        /// The brand of both.
        brand_id = "brand_id": BrandId,
        /// The profile whose id the person now has.
        survivor_id = "survivor_id": ProfileId,
        /// The profile that became part of it.
        absorbed_id = "absorbed_id": ProfileId,
        /// Why they are one.
        reason = "reason": MergeReason,
        /// What showed it, as JSON.
        evidence = "evidence": JsonText,
        /// The operation, for undoing it.
        op_id = "op_id": Uuid,
        /// When it took effect.
        timestamp = "timestamp": UnixMillis,
    }
}

message! {
    /// A merge was undone. Topic `profiles.unmerged`.
    ProfileUnmerged {
        /// The brand of both.
        brand_id = "brand_id": BrandId,
        /// The profile that stays.
        survivor_id = "survivor_id": ProfileId,
        /// The profile that is a person of its own again.
        restored_id = "restored_id": ProfileId,
        /// The merge operation that was undone.
        op_id = "op_id": Uuid,
        /// Who undid it.
        undone_by = "undone_by": String,
        /// When it was undone.
        timestamp = "timestamp": UnixMillis,
    }
}
