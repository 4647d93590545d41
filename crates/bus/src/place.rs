//! Which topic lives where.

use common::topics::{self, DEAD_LETTER_SUFFIX, Home};

/// A kind of server on which topics live.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Place {
    /// Redis Streams.
    Redis,
    /// Kafka.
    Kafka,
}

impl Place {
    /// Where a topic or its dead letters live as long as nobody moved them: `bus` is where those
    /// live that have no other home. A topic of nobody lives there, too.
    pub(crate) fn of(stream: &str, bus: Self, has_kafka: bool) -> Self {
        match topics::find(topic_of(stream)).map(|topic| topic.home) {
            Some(Home::Kafka) if has_kafka => Self::Kafka,
            Some(Home::Kafka) => Self::Redis,
            Some(Home::Bus) | None => bus,
        }
    }
}

/// The topic that a stream is, or whose dead letters it holds.
pub(crate) fn topic_of(stream: &str) -> &str {
    stream.strip_suffix(DEAD_LETTER_SUFFIX).unwrap_or(stream)
}

#[cfg(test)]
mod tests {
    use common::topics::{EventsRaw, FeedbackReplies, Topic as _};

    use super::*;

    #[test]
    fn feedback_lives_on_kafka_wherever_there_is_one_and_the_rest_where_it_is_told() {
        let (events, feedback) = (EventsRaw::INFO, FeedbackReplies::INFO);
        for (bus, has_kafka, of_events, of_feedback) in [
            (Place::Redis, false, Place::Redis, Place::Redis),
            (Place::Redis, true, Place::Redis, Place::Kafka),
            (Place::Kafka, true, Place::Kafka, Place::Kafka),
        ] {
            for (topic, expected) in [(events, of_events), (feedback, of_feedback)] {
                assert_eq!(Place::of(topic.name, bus, has_kafka), expected);
                assert_eq!(Place::of(&topic.dead_letters(), bus, has_kafka), expected);
            }
            assert_eq!(Place::of("somebody.elses", bus, has_kafka), bus);
        }
    }
}
