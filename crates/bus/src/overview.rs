//! What a topic looks like from outside.

use std::time::Duration;

use crate::message_id::MessageId;

/// A number of messages that may be known only as a lower limit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Count {
    /// So many, or at least so many.
    pub count: u64,
    /// Whether there are exactly so many.
    pub exact: bool,
}

/// A topic and its readers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TopicOverview {
    /// The topic's name.
    pub name: String,
    /// Messages in the stream, finished ones included.
    pub length: u64,
    /// Messages ever published.
    pub published: u64,
    /// Messages in its dead-letter stream.
    pub dead_letters: u64,
    /// Dead letters that were published again.
    pub redriven: u64,
    /// Dead letters that somebody removed for good.
    pub discarded: u64,
    /// Dead letters that were older than 30 days and were removed.
    pub expired: u64,
    /// Dead letters beyond the first of messages that were too large for one.
    pub split: u64,
    /// Dead letters of messages that were done on the bus, and whose work failed later.
    pub late: u64,
    /// The consumer groups.
    pub groups: Vec<GroupOverview>,
}

/// A consumer group. `published = done + dead + pending + undelivered (+ vanished)`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct GroupOverview {
    /// The group's name.
    pub name: String,
    /// Consumers that hold or held messages, without the place where retries wait.
    pub consumers: u64,
    /// Messages delivered and not settled, waiting ones included.
    pub pending: u64,
    /// Messages that failed and wait for another attempt.
    pub retrying: u64,
    /// Messages that were never delivered.
    pub undelivered: Count,
    /// Messages that were finished.
    pub done: u64,
    /// Messages that were given up.
    pub dead: u64,
    /// Messages that were deleted from the stream while they were pending: lost work.
    pub vanished: u64,
    /// Whether the bus counts `done`, `dead` and `vanished`: not for a group that no topic declares.
    pub counted: bool,
    /// How often the group was lost and created again.
    pub recreated: u64,
    /// All up to here is settled.
    pub floor: MessageId,
    /// All up to here was delivered to somebody.
    pub delivered_up_to: MessageId,
    /// How long ago the first undelivered message was published.
    pub oldest_undelivered_age: Option<Duration>,
    /// How long ago the oldest pending message was published.
    pub oldest_pending_age: Option<Duration>,
}

impl GroupOverview {
    /// Messages that are accepted and not settled.
    pub fn backlog(&self) -> u64 {
        self.pending.saturating_add(self.undelivered.count)
    }
}
