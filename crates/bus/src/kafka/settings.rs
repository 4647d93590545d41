//! Where the Kafka brokers are, and how Millrace uses them.

use std::fmt;
use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::config::RDKafkaLogLevel;

/// What the brokers of Kafka close a session after at least, unless they are told otherwise.
const SESSION_SHORTEST: Duration = Duration::from_secs(6);
const SESSION_LONGEST: Duration = Duration::from_mins(5);
/// Letters and retries are larger than their messages by what is noted with them.
pub(super) const NOTES_BYTES_MAX: u32 = 64 * 1024;
/// Records that a consumer fetches ahead.
const FETCHED_AHEAD_KIB: &str = "16384";

/// The Kafka brokers.
#[derive(Clone, clap::Args)]
#[command(next_help_heading = "Kafka")]
pub struct KafkaServers {
    /// Addresses of Kafka brokers, host:port, separated by commas
    #[arg(long, env = "KAFKA_BROKERS")]
    pub kafka_brokers: Option<String>,
    /// How to speak to the brokers; all but PLAINTEXT need a build with TLS
    #[arg(long, env = "KAFKA_SECURITY_PROTOCOL", default_value = "PLAINTEXT", value_parser = ["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"])]
    pub kafka_security_protocol: String,
    /// How to say who one is, when the security protocol is a SASL one
    #[arg(long, env = "KAFKA_SASL_MECHANISM", default_value = "PLAIN", value_parser = ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"])]
    pub kafka_sasl_mechanism: String,
    /// User name on the brokers
    #[arg(long, env = "KAFKA_SASL_USERNAME")]
    pub kafka_sasl_username: Option<String>,
    /// Password on the brokers
    #[arg(long, env = "KAFKA_SASL_PASSWORD", hide_env_values = true)]
    pub kafka_sasl_password: Option<String>,
    /// File with the certificates of the authorities that the brokers' are checked with
    #[arg(long, env = "KAFKA_SSL_CA_LOCATION")]
    pub kafka_ssl_ca_location: Option<String>,
    /// Partitions of a topic that is created: as many members of a group can share it
    #[arg(long, env = "KAFKA_PARTITIONS", default_value_t = 12, value_parser = clap::value_parser!(u16).range(1..=1_000))]
    pub kafka_partitions: u16,
    /// Copies of a topic that is created; without it, as many as the brokers say
    #[arg(long, env = "KAFKA_REPLICATION", value_parser = clap::value_parser!(u16).range(1..=15))]
    pub kafka_replication: Option<u16>,
    /// Begins the names of topics and groups, so that several installations can share brokers
    #[arg(long, env = "KAFKA_TOPIC_PREFIX", default_value = "")]
    pub kafka_topic_prefix: String,
    /// Name under which this process is known to its groups, so that a restart moves no partitions
    #[arg(long, env = "KAFKA_GROUP_INSTANCE_ID")]
    pub kafka_group_instance_id: Option<String>,
    /// Milliseconds that a call to the brokers may take
    #[arg(long, env = "KAFKA_TIMEOUT_MS", default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(100..=300_000))]
    pub kafka_timeout_ms: u32,
    /// Milliseconds after which a member that is silent loses its partitions; without it, the lease
    #[arg(long, env = "KAFKA_SESSION_TIMEOUT_MS", value_parser = clap::value_parser!(u32).range(300..=3_600_000))]
    pub kafka_session_timeout_ms: Option<u32>,
    /// Bytes of a message at most
    #[arg(long, env = "KAFKA_MESSAGE_BYTES_MAX", default_value_t = 4_194_304, value_parser = clap::value_parser!(u32).range(1_024..=900_000_000))]
    pub kafka_message_bytes_max: u32,
}

impl fmt::Debug for KafkaServers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KafkaServers")
            .field("brokers", &self.kafka_brokers)
            .field("prefix", &self.kafka_topic_prefix)
            .finish_non_exhaustive()
    }
}

/// Settings with which no broker can be spoken to.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{0}")]
pub struct InvalidKafka(String);

impl KafkaServers {
    /// Brokers without security at these addresses, all else as it is when nothing is said.
    pub fn at(brokers: &str) -> Self {
        Self {
            kafka_brokers: Some(brokers.to_owned()),
            kafka_security_protocol: "PLAINTEXT".to_owned(),
            kafka_sasl_mechanism: "PLAIN".to_owned(),
            kafka_sasl_username: None,
            kafka_sasl_password: None,
            kafka_ssl_ca_location: None,
            kafka_partitions: 12,
            kafka_replication: None,
            kafka_topic_prefix: String::new(),
            kafka_group_instance_id: None,
            kafka_timeout_ms: 10_000,
            kafka_session_timeout_ms: None,
            kafka_message_bytes_max: 4_194_304,
        }
    }

    /// Refuses what cannot work before anything is tried.
    pub(super) fn validate(&self) -> Result<(), InvalidKafka> {
        let refuse = |why: &str| Err(InvalidKafka(why.to_owned()));
        if self.kafka_brokers.as_ref().is_none_or(String::is_empty) {
            return refuse("KAFKA_BROKERS is not set: host:port, separated by commas");
        }
        if self.kafka_security_protocol == "PLAINTEXT" {
            return Ok(());
        }
        if !cfg!(feature = "kafka-tls") {
            return refuse(
                "KAFKA_SECURITY_PROTOCOL must be PLAINTEXT: this program was built without TLS to \
                 Kafka (feature bus/kafka-tls)",
            );
        }
        let named = self.kafka_sasl_username.is_some() && self.kafka_sasl_password.is_some();
        if self.kafka_security_protocol.starts_with("SASL") && !named {
            return refuse(
                "KAFKA_SASL_USERNAME and KAFKA_SASL_PASSWORD are needed by KAFKA_SECURITY_PROTOCOL",
            );
        }
        Ok(())
    }

    pub(super) fn timeout(&self) -> Duration {
        Duration::from_millis(u64::from(self.kafka_timeout_ms))
    }

    /// How long a member may be silent.
    pub(super) fn session_timeout(&self, lease: Duration) -> Duration {
        self.kafka_session_timeout_ms.map_or_else(
            || lease.clamp(SESSION_SHORTEST, SESSION_LONGEST),
            |millis| Duration::from_millis(u64::from(millis)),
        )
    }

    /// What every client has in common.
    pub(super) fn client(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        config
            .set("client.id", "millrace")
            .set(
                "bootstrap.servers",
                self.kafka_brokers.as_deref().unwrap_or_default(),
            )
            .set("socket.timeout.ms", self.kafka_timeout_ms.to_string())
            .set("socket.keepalive.enable", "true")
            .set("reconnect.backoff.max.ms", "1000")
            .set_log_level(RDKafkaLogLevel::Info);
        if self.kafka_security_protocol != "PLAINTEXT" {
            config.set("security.protocol", &self.kafka_security_protocol);
        }
        if self.kafka_security_protocol.starts_with("SASL") {
            config.set("sasl.mechanism", &self.kafka_sasl_mechanism);
        }
        for (name, value) in [
            ("sasl.username", &self.kafka_sasl_username),
            ("sasl.password", &self.kafka_sasl_password),
            ("ssl.ca.location", &self.kafka_ssl_ca_location),
        ] {
            if let Some(value) = value {
                config.set(name, value);
            }
        }
        config
    }

    /// A producer that repeats nothing and loses nothing that it was acknowledged. Its partitioner is
    /// that of the Java client, so that everybody finds the same partition for a key.
    pub(super) fn producer(&self) -> ClientConfig {
        let mut config = self.client();
        let largest = self.kafka_message_bytes_max.saturating_mul(2);
        config
            .set("enable.idempotence", "true")
            .set("partitioner", "murmur2_random")
            .set("linger.ms", "1")
            .set("message.timeout.ms", self.kafka_timeout_ms.to_string())
            .set(
                "message.max.bytes",
                largest.saturating_add(NOTES_BYTES_MAX).to_string(),
            );
        config
    }

    /// A consumer that commits nothing by itself and sees only what is committed.
    pub(super) fn consumer(&self, group: &str) -> ClientConfig {
        let mut config = self.client();
        config
            .set("group.id", self.group_name(group))
            .set("enable.auto.commit", "false")
            .set("enable.auto.offset.store", "false")
            .set("isolation.level", "read_committed")
            .set("auto.offset.reset", "error")
            .set("enable.partition.eof", "true")
            .set("queued.max.messages.kbytes", FETCHED_AHEAD_KIB);
        config
    }

    pub(super) fn topic_name(&self, topic: &str) -> String {
        format!("{}{topic}", self.kafka_topic_prefix)
    }

    pub(super) fn group_name(&self, group: &str) -> String {
        format!("{}{group}", self.kafka_topic_prefix)
    }
}
