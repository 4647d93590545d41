//! What the settings of the brokers put at risk.

use std::sync::Arc;

use common::topics;
use rdkafka::admin::{AdminOptions, ResourceSpecifier};
use rdkafka::consumer::Consumer as _;

use super::client::{Core, blocking, failed};
use super::looker::LOOKER;
use crate::error::BusError;
use crate::server::Risk;

/// Brokers that forget a group sooner after its last member left are spoken of: a week.
const GROUP_KEPT_MINUTES_MIN: i64 = 7 * 24 * 60;

/// The risks of the topics that are there.
pub(super) async fn find(core: &Arc<Core>) -> Result<Vec<Risk>, BusError> {
    let (broker, alone) = blocking(core, |core| {
        let metadata = core.looker(LOOKER)?.metadata()?;
        let mut alone = Vec::new();
        for topic in topics::ALL {
            let name = core.settings.topic_name(topic.name);
            let found = metadata.topics().iter().find(|t| t.name() == name);
            let partitions = found.map(rdkafka::metadata::MetadataTopic::partitions);
            let copies = partitions.unwrap_or_default().iter();
            if copies.map(|p| p.replicas().len()).min() == Some(1) {
                alone.push(name);
            }
        }
        Ok((metadata.orig_broker_id(), alone))
    })
    .await?;
    let mut risks = Vec::new();
    if !alone.is_empty() {
        risks.push(Risk::Forgetting(format!(
            "Kafka keeps one copy of {}: what is in it is lost with its broker; give it three copies, \
             and set KAFKA_REPLICATION=3",
            alone.join(", ")
        )));
    }
    let options = || AdminOptions::new().request_timeout(Some(core.settings.timeout()));
    let admin = core.admin()?;
    let resource = ResourceSpecifier::Broker(broker);
    let configs = admin.describe_configs([&resource], &options()).await;
    let configs = configs.map_err(|error| failed("asking for settings", &error))?;
    let kept = configs.into_iter().filter_map(Result::ok).find_map(|all| {
        let value = all.get("offsets.retention.minutes")?.value.clone()?;
        value.parse::<i64>().ok()
    });
    if let Some(minutes) = kept.filter(|minutes| *minutes < GROUP_KEPT_MINUTES_MIN) {
        risks.push(Risk::Forgetting(format!(
            "Kafka forgets a group that had no members for {minutes} minutes \
             (offsets.retention.minutes); set it to {GROUP_KEPT_MINUTES_MIN} or more"
        )));
    }
    Ok(risks)
}

/// What the brokers call themselves. Blocks.
pub(super) fn cluster(core: &Core) -> Result<String, BusError> {
    let looker = core.looker(LOOKER)?;
    let brokers = looker.metadata()?.brokers().len();
    let id = looker.cluster_id().unwrap_or_default();
    Ok(format!("Kafka cluster {id} of {brokers}"))
}

impl super::looker::Looker {
    fn cluster_id(&self) -> Option<String> {
        self.consumer().client().fetch_cluster_id(self.timeout())
    }

    fn metadata(&self) -> Result<rdkafka::metadata::Metadata, BusError> {
        let found = self.consumer().fetch_metadata(None, self.timeout());
        found.map_err(|error| failed("asking for the brokers", &error))
    }
}
