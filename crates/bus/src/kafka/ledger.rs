//! What a group knows of a topic: its books, of the topic and of its retries. Everything here blocks.

use common::topics::TopicInfo;

use super::book::Book;
use super::client::Core;
use super::topics::retry_topic;
use crate::error::BusError;
use crate::message_id::MessageId;

/// The books of a group, by partition.
#[derive(Debug)]
pub(super) struct Ledger {
    pub(super) pages: Vec<Page>,
}

/// The books of a partition, and of the messages of the same partition that wait for a retry.
#[derive(Debug, Clone, Default)]
pub(super) struct Page {
    pub(super) main: Book,
    pub(super) retry: Book,
}

impl Page {
    /// Messages that failed and are not settled.
    pub(super) fn failed(&self) -> u64 {
        let counts = self.retry.counts;
        (self.main.counts.moved + counts.moved)
            .saturating_sub(counts.done + counts.dead + counts.moved + counts.vanished)
    }

    /// The first message that is delivered and not settled.
    pub(super) fn oldest(&self) -> Option<MessageId> {
        let known = [self.main.oldest, self.retry.oldest];
        known.into_iter().filter(|id| *id > MessageId::ZERO).min()
    }

    /// All up to here is settled, as far as it was delivered.
    pub(super) fn floor(&self) -> MessageId {
        self.oldest().map_or(self.main.last, MessageId::previous)
    }
}

impl Ledger {
    /// `None` when the group has never been opened for the topic.
    pub(super) fn read(
        core: &Core,
        topic: &TopicInfo,
        group: &str,
    ) -> Result<Option<Self>, BusError> {
        let Some(partitions) = core.partitions(topic.name)? else {
            return Ok(None);
        };
        let main = core.settings.topic_name(topic.name);
        let retry = core.settings.topic_name(&retry_topic(topic.name, group));
        let places: Vec<(String, i32)> = [&main, &retry]
            .into_iter()
            .flat_map(|name| (0..partitions).map(|partition| (name.clone(), partition)))
            .collect();
        let mut books = core.looker(group)?.books(&places)?;
        if books.iter().all(Option::is_none) {
            return Ok(None);
        }
        let retries = books.split_off(books.len() / 2);
        let pages = books.into_iter().zip(retries).map(|(main, retry)| Page {
            main: main.unwrap_or_default(),
            retry: retry.unwrap_or_default(),
        });
        Ok(Some(Self {
            pages: pages.collect(),
        }))
    }

    pub(super) fn sum(&self, of: impl Fn(&Book) -> u64) -> u64 {
        let books = self.pages.iter().flat_map(|page| [&page.main, &page.retry]);
        books.map(of).sum()
    }

    /// The highest id up to which everything is settled, when these partitions have messages that
    /// were not delivered.
    pub(super) fn floor(&self, undelivered: &[bool]) -> MessageId {
        let open =
            self.pages.iter().zip(undelivered).filter(|(page, more)| {
                **more || page.oldest().is_some() || page.main.untouched() > 0
            });
        let lowest = open.map(|(page, _)| page.floor()).min();
        lowest.unwrap_or_else(|| self.last())
    }

    /// The last message that was delivered.
    pub(super) fn last(&self) -> MessageId {
        let last = self.pages.iter().map(|page| page.main.last).max();
        last.unwrap_or_default()
    }
}
