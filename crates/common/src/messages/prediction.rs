//! Requests for predictions, and their results.

use crate::fields::{JsonText, message, wire_enum};
use crate::ids::{BrandId, ProfileId};
use crate::time::UnixMillis;

wire_enum! {
    /// What is to be predicted.
    PredictionKind {
        /// The probability of no purchase within a horizon.
        Churn = "churn",
        /// The revenue expected within a horizon.
        Ltv = "ltv",
        /// The customer segment.
        Segment = "segment",
        /// All of them.
        All = "all",
    }
}

message! {
    /// A profile's predictions should be made anew. Topic `predictions.requests`.
    PredictionRequest {
        /// The person.
        profile_id = "profile_id": ProfileId,
        /// Whose customer the person is.
        brand_id = "brand_id": BrandId,
        /// What is asked for.
        request_type = "request_type": PredictionKind,
        /// When it was asked.
        timestamp = "timestamp": UnixMillis,
    } optional {
        /// What caused it, such as `purchase` or `stale`.
        cause = "cause": String,
        /// W3C trace context.
        traceparent = "traceparent": String,
    }
}

message! {
    /// A prediction was made. Topic `predictions.results`.
    PredictionResult {
        /// The person.
        profile_id = "profile_id": ProfileId,
        /// Whose customer the person is.
        brand_id = "brand_id": BrandId,
        /// What was asked for.
        request_type = "request_type": PredictionKind,
        /// The prediction as a JSON object.
        result = "result": JsonText,
        /// The fitted model it comes from.
        model_id = "model_id": String,
        /// When it was made.
        timestamp = "timestamp": UnixMillis,
    }
}
