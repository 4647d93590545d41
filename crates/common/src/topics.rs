//! Every topic, with the one type of message it carries.

use crate::fields::Message;
use crate::messages::{
    FeedbackCreated, FeedbackReaction, FeedbackReply, MergeRequest, NormalizedEvent,
    PredictionRequest, PredictionResult, ProfileMerged, ProfileUnmerged, RawEvent, RejectedEvent,
};

/// Consumer groups. A group's name is the name of the stage that reads.
pub mod groups {
    /// Turns raw events into normalised ones.
    pub const NORMALIZERS: &str = "normalizers";
    /// Turns normalised events into features and analytics.
    pub const EVENT_PROCESSORS: &str = "event-processors";
    /// Decides merge requests.
    pub const MERGE_PROCESSORS: &str = "merge-processors";
    /// Makes predictions.
    pub const PREDICTION_PROCESSORS: &str = "prediction-processors";
    /// Batches feedback into documents.
    pub const FEEDBACK_SERVICE: &str = "feedback-service";
}

/// What is appended to a topic's name to name its dead letters.
pub const DEAD_LETTER_SUFFIX: &str = ".dlq";

/// A topic's name, readers and retention, without its type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TopicInfo {
    /// The name on the bus.
    pub name: &'static str,
    /// The groups that must have finished a message before it may be trimmed.
    pub groups: &'static [&'static str],
    /// How many finished messages are kept for reading and replay.
    pub retained: u64,
    /// The field that is the record's key on Kafka: messages with the same value stay in order.
    pub key: &'static str,
    /// Where it lives unless it is told otherwise.
    pub home: Home,
}

/// Where a topic lives unless it is told otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Home {
    /// On the bus that `MILLRACE_BUS` chooses.
    Bus,
    /// On Kafka, wherever there is one: other programs meet Millrace there.
    Kafka,
}

impl TopicInfo {
    /// The name of the stream of its dead letters.
    pub fn dead_letters(&self) -> String {
        format!("{}{DEAD_LETTER_SUFFIX}", self.name)
    }
}

/// A topic carries one type: publishing another does not compile.
pub trait Topic: Send + Sync + 'static {
    /// The type of its messages.
    type Message: Message;
    /// Its name, readers and retention.
    const INFO: TopicInfo;
}

macro_rules! topics {
    ($($(#[$doc:meta])* $type:ident = $name:literal: $message:ty, $groups:expr, keeps $retained:literal, key $key:literal, $home:ident;)*) => {
        $(
            $(#[$doc])*
            #[derive(Debug, Clone, Copy)]
            pub struct $type;

            impl Topic for $type {
                type Message = $message;
                const INFO: TopicInfo = TopicInfo {
                    name: $name,
                    groups: $groups,
                    retained: $retained,
                    key: $key,
                    home: Home::$home,
                };
            }
        )*

        /// Every topic.
        pub const ALL: &[TopicInfo] = &[$($type::INFO),*];
    };
}

topics! {
    /// Accepted events.
    EventsRaw = "events.raw": RawEvent, &[groups::NORMALIZERS], keeps 10_000, key "event_id", Bus;
    /// Events in normal form.
    EventsNormalized = "events.normalized": NormalizedEvent, &[groups::EVENT_PROCESSORS], keeps 10_000, key "profile_id", Bus;
    /// Accepted events that do not count.
    EventsRejected = "events.rejected": RejectedEvent, &[], keeps 5_000, key "event_id", Bus;
    /// Profiles that look like one person.
    MergeRequests = "profiles.merge_requests": MergeRequest, &[groups::MERGE_PROCESSORS], keeps 1_000, key "brand_id", Bus;
    /// Merges that took effect.
    ProfilesMerged = "profiles.merged": ProfileMerged, &[], keeps 5_000, key "profile_id", Bus;
    /// Merges that were undone.
    ProfilesUnmerged = "profiles.unmerged": ProfileUnmerged, &[], keeps 5_000, key "profile_id", Bus;
    /// Profiles whose predictions should be made anew.
    PredictionRequests = "predictions.requests": PredictionRequest, &[groups::PREDICTION_PROCESSORS], keeps 5_000, key "profile_id", Bus;
    /// Predictions that were made.
    PredictionResults = "predictions.results": PredictionResult, &[], keeps 5_000, key "profile_id", Bus;
    /// Written feedback, from the chat service.
    FeedbackReplies = "feedback.reply.received": FeedbackReply, &[groups::FEEDBACK_SERVICE], keeps 10_000, key "agentId", Kafka;
    /// Reactions, from the chat service.
    FeedbackReactions = "feedback.reaction.received": FeedbackReaction, &[groups::FEEDBACK_SERVICE], keeps 10_000, key "agentId", Kafka;
    /// Feedback that is in the document store.
    FeedbackCreatedTopic = "feedback.created": FeedbackCreated, &[], keeps 10_000, key "agentId", Kafka;
}

/// The topic of that name.
pub fn find(name: &str) -> Option<&'static TopicInfo> {
    ALL.iter().find(|topic| topic.name == name)
}
