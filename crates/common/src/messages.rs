//! Every message that travels on the bus, one file for each family.

mod dead_letter;
mod event;
mod feedback;
mod prediction;
mod profile;

pub use dead_letter::{DEAD_LETTER_PREFIX, DeadLetter, REDRIVEN_FROM};
pub use event::{NormalizedEvent, RawEvent, RejectedEvent};
pub use feedback::{FeedbackCreated, FeedbackKind, FeedbackReaction, FeedbackReply};
pub use prediction::{PredictionKind, PredictionRequest, PredictionResult};
pub use profile::{MergeReason, MergeRequest, ProfileMerged, ProfileUnmerged};

pub use crate::fields::JsonText;
