//! The steps at which a crash matters, each named once.
//!
//! Code passes a point by calling [`reached`]. That compiles to nothing, except with the feature
//! `armed`, which only builds for tests have: there a process can be told to abort at the n-th
//! passage of a point, as a power cut at exactly that step.

#[cfg(feature = "armed")]
mod armed;

#[cfg(feature = "armed")]
pub use armed::{Arming, InvalidArming, arm, reached};

/// The variable by which a worker of a test build is armed.
pub const VARIABLE: &str = "MILLRACE_CRASH_AT";

macro_rules! crash_points {
    ($($(#[$doc:meta])* $name:ident = $text:literal;)*) => {
        /// A step at which a crash matters.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum CrashPoint {
            $($(#[$doc])* $name,)*
        }

        impl CrashPoint {
            /// Every point.
            pub const ALL: &[Self] = &[$(Self::$name),*];

            /// The name by which it is armed.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$name => $text,)*
                }
            }
        }
    };
}

crash_points! {
    /// The events of some requests are about to be published.
    IngestionPublishing = "ingestion.publishing";
    /// The events of some requests are published, and none is answered.
    IngestionPublished = "ingestion.published";
    /// Redis has answered some command. Counting its passages from another point on cuts between any
    /// two commands, whatever they are.
    RedisReplied = "redis.replied";
    /// A group is known to be there; nothing was read.
    BusGroupOpened = "bus.group.opened";
    /// New messages are delivered to this consumer, and nobody has seen them.
    BusReadDelivered = "bus.read.delivered";
    /// Messages that were delivered without arriving are found again.
    BusRecovered = "bus.recovered";
    /// Messages of a dead consumer, or retries that are due, are this consumer's now.
    BusClaimed = "bus.claimed";
    /// Leases of messages in hand are renewed.
    BusRenewed = "bus.renewed";
    /// A settlement is about to be sent.
    BusSettleSending = "bus.settle.sending";
    /// The first part of a large settlement is done, the next is not sent.
    BusSettleBetween = "bus.settle.between";
    /// The server has settled; its answer was not used.
    BusSettleSent = "bus.settle.sent";
    /// Messages that were not started are about to be handed back.
    BusHandBackSending = "bus.hand_back.sending";
    /// Messages that were not started are handed back.
    BusHandBackSent = "bus.hand_back.sent";
    /// Finished messages are removed.
    BusTrimmed = "bus.trimmed";
    /// A topic that is moved to another server is put aside; nothing went over.
    BusMoveAside = "bus.move.aside";
    /// A part of what was not settled went over.
    BusMoveCopied = "bus.move.copied";
    /// Everything went over, and that is known.
    BusMoveDone = "bus.move.done";
    /// A stage has taken a batch, and has not begun with it.
    StageDelivered = "stage.delivered";
    /// A batch is processed and not settled.
    StageProcessed = "stage.processed";
    /// A batch is settled.
    StageSettled = "stage.settled";
    /// New profiles and identifiers are written and not committed.
    StoresProfilesCommitting = "stores.profiles.committing";
    /// New profiles and identifiers are committed; the answer was not used.
    StoresProfilesCommitted = "stores.profiles.committed";
    /// The effects of a batch are written and not committed.
    StoresEffectsCommitting = "stores.effects.committing";
    /// The effects of a batch are committed; the answer was not used.
    StoresEffectsCommitted = "stores.effects.committed";
    /// Some of the feedback documents of a call are written, others are not sent.
    StoresFeedbackBetweenWrites = "stores.feedback.between_writes";
    /// All feedback documents of a call are written; the answer was not used.
    StoresFeedbackWritten = "stores.feedback.written";
    /// Feedback items are in their batches; the answer was not used.
    StoresFeedbackAdded = "stores.feedback.added";
    /// A batch of feedback is this flusher's; none of it was used.
    StoresFeedbackTaken = "stores.feedback.taken";
    /// A flushed batch of feedback is about to be dropped.
    StoresFeedbackFinishing = "stores.feedback.finishing";
    /// Messages of the outbox are published and still in it.
    OutboxPublished = "outbox.published";
    /// Messages of the outbox are published and removed.
    OutboxRemoved = "outbox.removed";
    /// A batch of feedback is this instance's; nothing is written.
    FeedbackTaken = "feedback.taken";
    /// The documents of a batch are written, and nothing is published.
    FeedbackWritten = "feedback.written";
    /// The first part of the events of a batch is published, the next is not.
    FeedbackHalfPublished = "feedback.half_published";
    /// The events of a batch are published, and the batch is not dropped.
    FeedbackPublished = "feedback.published";
    /// A batch is dropped.
    FeedbackFinished = "feedback.finished";
}

impl std::fmt::Display for CrashPoint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Passes a point.
#[cfg(not(feature = "armed"))]
#[inline]
pub const fn reached(_point: CrashPoint) {}
