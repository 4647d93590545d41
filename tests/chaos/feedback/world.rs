//! Which servers there are, of all that feedback may be deployed on.

use crate::mill::Backend;

/// Where batches wait and documents are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct World {
    /// For people.
    pub(crate) name: &'static str,
    /// `FEEDBACK_BATCH_STORE`.
    pub(super) batches: &'static str,
    pub(super) documents: Backend,
    /// Whether the topics of feedback live on Kafka.
    pub(super) kafka: bool,
    /// Whether batches wait in a Redis of their own, which has a replica that must have them too.
    pub(super) replicated: bool,
}

impl World {
    pub(crate) const REDIS_SQLITE: Self = Self {
        name: "feedback: redis, sqlite",
        batches: "redis",
        documents: Backend::Sqlite,
        kafka: false,
        replicated: false,
    };
    pub(crate) const REDIS_POSTGRES: Self = Self {
        name: "feedback: redis, postgres",
        batches: "redis",
        documents: Backend::Postgres,
        kafka: false,
        replicated: true,
    };
    pub(crate) const KAFKA_REDIS_MONGODB: Self = Self {
        name: "feedback: kafka, redis, mongodb",
        batches: "redis",
        documents: Backend::MongoDb,
        kafka: true,
        replicated: false,
    };
    pub(crate) const KAFKA_MEMORY_MONGODB: Self = Self {
        name: "feedback: kafka, memory, mongodb",
        batches: "memory",
        documents: Backend::MongoDb,
        kafka: true,
        replicated: false,
    };
    pub(crate) const KAFKA_MONGODB_MONGODB: Self = Self {
        name: "feedback: kafka, mongodb, mongodb",
        batches: "mongodb",
        documents: Backend::MongoDb,
        kafka: true,
        replicated: false,
    };

    /// Whether what waits survives the death of a flusher.
    pub(super) fn remembers(self) -> bool {
        self.batches != "memory"
    }
}
