//! The clients of librdkafka that a bus shares, what they say, and what their errors mean.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use common::Unavailable;
use rdkafka::ClientContext;
use rdkafka::admin::AdminClient;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::ConsumerContext;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::Timestamp;
use rdkafka::producer::FutureProducer;
use redis_link::Link;

use super::looker::Looker;
use super::settings::KafkaServers;
use crate::error::BusError;

/// What librdkafka tells goes to where everything is told.
#[derive(Debug, Clone, Default)]
pub(super) struct Telling;

impl ClientContext for Telling {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        tell(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        tracing::debug!(%error, reason, "librdkafka");
    }
}

impl ConsumerContext for Telling {}

/// Says what librdkafka says. It speaks loudly of brokers that it cannot reach and tries again by
/// itself; who waits for them says so.
pub(super) fn tell(level: RDKafkaLogLevel, facility: &str, message: &str) {
    match level {
        RDKafkaLogLevel::Emerg | RDKafkaLogLevel::Alert | RDKafkaLogLevel::Critical => {
            tracing::error!(facility, "librdkafka: {message}");
        }
        RDKafkaLogLevel::Error | RDKafkaLogLevel::Warning | RDKafkaLogLevel::Notice => {
            tracing::info!(facility, "librdkafka: {message}");
        }
        RDKafkaLogLevel::Info | RDKafkaLogLevel::Debug => {
            tracing::debug!(facility, "librdkafka: {message}");
        }
    }
}

/// What a bus on Kafka consists of. Clients are made when they are first needed.
pub(super) struct Core {
    pub(super) settings: KafkaServers,
    /// Where claims are remembered: Kafka cannot look anything up.
    pub(super) claims: Link,
    pub(super) letters: super::letters::Indexes,
    /// Partitions of the topics that are known to be there.
    pub(super) topics: Mutex<HashMap<String, i32>>,
    producer: Mutex<Option<FutureProducer<Telling>>>,
    admin: Mutex<Option<Arc<AdminClient<Telling>>>>,
    lookers: Mutex<HashMap<String, Arc<Looker>>>,
}

impl fmt::Debug for Core {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Core").field(&self.settings).finish()
    }
}

impl Core {
    pub(super) fn new(settings: KafkaServers, claims: Link) -> Self {
        Self {
            settings,
            claims,
            letters: super::letters::Indexes::default(),
            topics: Mutex::default(),
            producer: Mutex::default(),
            admin: Mutex::default(),
            lookers: Mutex::default(),
        }
    }

    /// The producer of what is published outside of transactions.
    pub(super) fn producer(&self) -> Result<FutureProducer<Telling>, BusError> {
        let mut producer = locked(&self.producer);
        if producer.is_none() {
            let config = self.settings.producer();
            let made = config.create_with_context(Telling);
            *producer = Some(made.map_err(|error| failed("making a producer", &error))?);
        }
        producer.clone().ok_or_else(gone)
    }

    /// A producer for transactions under a name; whoever had the name before is fenced.
    pub(super) fn transactional(&self, id: &str) -> Result<FutureProducer<Telling>, KafkaError> {
        let mut config = self.settings.producer();
        config.set("transactional.id", id);
        config.set(
            "transaction.timeout.ms",
            self.settings.kafka_timeout_ms.to_string(),
        );
        config.create_with_context(Telling)
    }

    pub(super) fn admin(&self) -> Result<Arc<AdminClient<Telling>>, BusError> {
        let mut admin = locked(&self.admin);
        if admin.is_none() {
            let made = self.settings.client().create_with_context(Telling);
            *admin = Some(Arc::new(
                made.map_err(|error| failed("making an admin client", &error))?,
            ));
        }
        admin.clone().ok_or_else(gone)
    }

    /// Looks at topics, and at what is committed by a group.
    pub(super) fn looker(&self, group: &str) -> Result<Arc<Looker>, BusError> {
        let mut lookers = locked(&self.lookers);
        if let Some(looker) = lookers.get(group) {
            return Ok(Arc::clone(looker));
        }
        let looker = Arc::new(Looker::open(&self.settings, group)?);
        lookers.insert(group.to_owned(), Arc::clone(&looker));
        Ok(looker)
    }
}

/// Runs what blocks where it blocks nobody.
pub(super) async fn blocking<T: Send + 'static>(
    core: &Arc<Core>,
    action: impl FnOnce(&Core) -> Result<T, BusError> + Send + 'static,
) -> Result<T, BusError> {
    let core = Arc::clone(core);
    let task = tokio::task::spawn_blocking(move || action(&core));
    task.await.unwrap_or_else(|error| Err(down(&error)))
}

pub(super) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Milliseconds since 1970, by this machine's clock, which decides here about waiting only.
pub(super) fn now_ms() -> i64 {
    Timestamp::now().to_millis().unwrap_or_default()
}

/// The brokers do not answer or cannot do it now.
pub(super) fn down(detail: &impl fmt::Display) -> BusError {
    BusError::Unavailable(Unavailable::new("kafka", detail))
}

fn gone() -> BusError {
    down(&"the client is gone")
}

/// What an error means to the caller: wait, or do not repeat it.
pub(super) fn failed(what: &str, error: &KafkaError) -> BusError {
    let text = format!("{what}: {error}");
    if matches!(
        error,
        KafkaError::ClientConfig(..) | KafkaError::ClientCreation(_)
    ) {
        return BusError::Declined(text);
    }
    let code = match error {
        KafkaError::AdminOp(code) => Some(*code),
        _ => error.rdkafka_error_code(),
    };
    match code {
        Some(
            RDKafkaErrorCode::MessageSizeTooLarge
            | RDKafkaErrorCode::InvalidRecord
            | RDKafkaErrorCode::InvalidMessage
            | RDKafkaErrorCode::InvalidTopic
            | RDKafkaErrorCode::InvalidConfig
            | RDKafkaErrorCode::InvalidPartitions
            | RDKafkaErrorCode::PolicyViolation
            | RDKafkaErrorCode::TopicAuthorizationFailed
            | RDKafkaErrorCode::GroupAuthorizationFailed
            | RDKafkaErrorCode::ClusterAuthorizationFailed
            | RDKafkaErrorCode::TransactionalIdAuthorizationFailed
            | RDKafkaErrorCode::SaslAuthenticationFailed
            | RDKafkaErrorCode::UnsupportedSASLMechanism
            | RDKafkaErrorCode::OffsetMetadataTooLarge,
        ) => BusError::Declined(text),
        _ => down(&text),
    }
}
