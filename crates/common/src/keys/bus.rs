//! What the bus remembers beside the streams.

use super::part::key;

key! {
    /// A hash of one consumer group: `done`, `dead` and `vanished` (how many messages were settled
    /// so, counted in the script that settles them), `floor` (the highest id below which all is
    /// settled), `repeat_until` (ids up to it may have been processed before, because the group
    /// was lost and created again) and `recreated` (how often that happened).
    GroupStateKey = "bus:group:{topic}:{group}" {
        /// The topic.
        topic: String,
        /// The group.
        group: String
    } "bus:group"
}

key! {
    /// A sorted set of stream ids, scored by how many entries the stream had ever seen then: it
    /// tells which id lies N entries back without reading them.
    StreamSamplesKey = "bus:samples:{topic}" {
        /// The topic.
        topic: String
    } "bus:samples"
}

key! {
    /// A hash from the id of a failed message that waits for a retry to
    /// `<first failure, ISO 8601> <last reason>`.
    FailuresKey = "bus:failures:{topic}:{group}" {
        /// The topic.
        topic: String,
        /// The group.
        group: String
    } "bus:failures"
}

key! {
    /// A hash from what was claimed to who claimed it last. There is one for each window,
    /// so that a claim is remembered for one window at least, and for two at most.
    ClaimsKey = "bus:claims:{windowMs}:{number}" {
        /// How long claims are remembered, in milliseconds.
        window_ms: u64,
        /// How many windows there were since 1970.
        number: u64
    } "bus:claims"
}

key! {
    /// A hash of the dead letters of one topic: `redriven`, `discarded` and `expired` (how many
    /// left their stream so, counted in the script that removes them), `split` (letters beyond
    /// the first of messages that were too large for one) and `late` (letters of messages that were
    /// settled before their work failed).
    LettersKey = "bus:letters:{topic}" {
        /// The topic.
        topic: String
    } "bus:letters"
}

key! {
    /// A hash of a topic that is moved, or was moved, from Redis to Kafka: `state` (`copying` or
    /// `done`), `since` (ISO 8601), `published`, `settled` and `letters` (what Redis had counted when
    /// the move began), `copied` and `copied_letters` (what went over).
    MovedKey = "bus:moved:{topic}" {
        /// The topic.
        topic: String
    } "bus:moved"
}

key! {
    /// A stream that is moved to Kafka, with its groups, as it was when the move began. It is kept
    /// for 30 days after the move.
    MovingStreamKey = "bus:moving:{stream}" {
        /// The name that it had: a topic, or its dead letters.
        stream: String
    } "bus:moving"
}

key! {
    /// Claimed by an output that is published on another server than that of its cause.
    OutputKey = "bus:output:{cause}:{group}:{causeId}:{topic}:{number}" {
        /// The topic of the message that caused it.
        cause: String,
        /// The group that processed that message.
        group: String,
        /// The first id of that message.
        cause_id: String,
        /// The topic of the output.
        topic: String,
        /// How many outputs of the same cause go to that topic before this one.
        number: u64
    } "bus:output"
}

key! {
    /// Claimed while a message of an outbox counts as published.
    OutboxKey = "bus:outbox:{messageId}" {
        /// The message's id in its outbox.
        message_id: String
    } "bus:outbox"
}
