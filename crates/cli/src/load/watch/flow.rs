//! Whether anything is still on its way, whoever sent it.

use bus::{Bus, BusError, MessageId};
use common::Topic as _;
use common::topics::{EventsNormalized, EventsRaw, TopicInfo};

use super::newest;

/// The topics that an event goes through.
const TOPICS: [TopicInfo; 2] = [EventsRaw::INFO, EventsNormalized::INFO];

/// What was last in each topic when all before it was settled.
#[derive(Debug, Default)]
pub(super) struct Flow {
    ends: Vec<MessageId>,
}

impl Flow {
    /// Whether all that had been accepted at the first call is settled. A stage publishes its
    /// outputs in the step that settles the input, so the end of a topic is looked up when the
    /// topic before it is settled.
    pub(super) async fn is_settled(&mut self, bus: &Bus) -> Result<bool, BusError> {
        for (index, topic) in TOPICS.iter().enumerate() {
            let end = if let Some(end) = self.ends.get(index) {
                *end
            } else {
                let end = newest(bus, topic.name).await?;
                self.ends.push(end);
                end
            };
            for group in topic.groups {
                if bus.settled_up_to(topic, group).await? < end {
                    return Ok(false);
                }
            }
        }
        Ok(true)
    }

    /// Messages that are not settled now.
    pub(super) async fn open(bus: &Bus) -> Result<u64, BusError> {
        let mut open = 0;
        for topic in &TOPICS {
            let overview = bus.overview(topic).await?;
            open += overview
                .groups
                .iter()
                .map(bus::GroupOverview::backlog)
                .sum::<u64>();
        }
        Ok(open)
    }

    /// The end of the last topic, when it is known.
    pub(super) fn end(&self) -> Option<MessageId> {
        self.ends.get(TOPICS.len() - 1).copied()
    }
}
