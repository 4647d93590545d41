//! Moves a topic that is in use from Redis to another server: nothing is lost, nothing comes twice,
//! and messages of one key stay in order.
//!
//! One script puts the stream aside, with all that its group has not settled, and leaves a text under
//! its name. From then on Redis refuses whoever still takes the topic to be there, however late he
//! comes and whatever he knows, so no time has to be waited for. What was not settled goes over in
//! the order of ids, each part in one atomic step with the id up to which it goes: a move that was cut
//! off anywhere is continued by running it again. Only then is it said that the topic lives on the
//! other server, and what is published there comes after what was copied.
//!
//! A message that somebody was given keeps the id that it had, as if it was redriven: its effects may
//! be there.

use std::sync::Arc;

use common::topics::TopicInfo;
use crash_points::{CrashPoint, reached};

use crate::delivery::StoredMessage;
use crate::error::BusError;
use crate::first_id;
use crate::message_id::MessageId;
use crate::moves::{LeftBehind, Move, MoveState, Received, Receiving};
use crate::redis::RedisMoves;

/// Messages that go over in one step.
const PAGE: usize = 200;

/// Moves topics from Redis to the other server of a bus.
pub struct Migration {
    old: RedisMoves,
    new: Arc<dyn Receiving>,
}

/// What went over.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Migrated {
    /// Messages that the group had not settled.
    pub messages: u64,
    /// Dead letters that waited.
    pub letters: u64,
}

/// Why a topic was not moved.
#[derive(Debug, thiserror::Error)]
pub enum MigrationError {
    /// A server does not answer, or refused. Run it again: it is continued.
    #[error(transparent)]
    Bus(#[from] BusError),
    /// Messages cannot be settled for some groups and open for others on the other server.
    #[error(
        "{topic} is read by groups that it does not declare ({group}); remove them first with XGROUP DESTROY"
    )]
    OtherGroup {
        /// The topic.
        topic: &'static str,
        /// The first of them.
        group: String,
    },
    /// The topic declares several groups.
    #[error(
        "{0} has several groups, and what one of them has settled cannot be left out for it alone"
    )]
    SeveralGroups(&'static str),
    /// Not everything arrived. The topic stays closed, and nothing was removed.
    #[error(
        "{stream}: {expected} messages were not settled, and {arrived} arrived; nothing was removed"
    )]
    Mismatch {
        /// The topic, or its dead letters.
        stream: String,
        /// Messages on the old server.
        expected: u64,
        /// Messages on the new one.
        arrived: u64,
    },
}

impl std::fmt::Debug for Migration {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Migration").finish_non_exhaustive()
    }
}

impl Migration {
    pub(crate) fn new(old: RedisMoves, new: Arc<dyn Receiving>) -> Self {
        Self { old, new }
    }

    /// How far the move of a topic has come; `None` if nobody began one.
    pub async fn state(&self, topic: &TopicInfo) -> Result<Option<Move>, BusError> {
        self.old.of(topic.name).await
    }

    /// Moves a topic, or continues its move; `None` if there was nothing left to move. `report` is
    /// told how many messages went over so far, letters included.
    pub async fn run(
        &self,
        topic: &TopicInfo,
        report: &(dyn Fn(u64) + Sync),
    ) -> Result<Option<Migrated>, MigrationError> {
        if topic.groups.len() > 1 {
            return Err(MigrationError::SeveralGroups(topic.name));
        }
        let mut all = None;
        while self.put_aside(topic).await? {
            let [messages, letters] = self.copy(topic, report).await?;
            let moved: &mut Migrated = all.get_or_insert_default();
            moved.messages += messages;
            moved.letters += letters;
        }
        Ok(all)
    }

    /// Whether there is something to copy.
    async fn put_aside(&self, topic: &TopicInfo) -> Result<bool, MigrationError> {
        for group in topic.groups {
            self.new.open_group(topic.name, group).await?;
        }
        let went_over = [
            self.new.received(topic.name).await?,
            self.new.received(&topic.dead_letters()).await?,
        ];
        let put_aside = match self.old.put_aside(topic, went_over).await {
            Err(BusError::Refused(refusal)) if refusal.code() == Some("GROUPS") => {
                return Err(MigrationError::OtherGroup {
                    topic: topic.name,
                    group: refusal.detail().unwrap_or_default().to_owned(),
                });
            }
            put_aside => put_aside?,
        };
        reached(CrashPoint::BusMoveAside);
        let unfinished = |known: Move| known.state == MoveState::Copying;
        Ok(put_aside || self.old.of(topic.name).await?.is_some_and(unfinished))
    }

    /// Copies what is put aside, and says so when all of it arrived; gives how many messages and
    /// letters that are.
    async fn copy(
        &self,
        topic: &TopicInfo,
        report: &(dyn Fn(u64) + Sync),
    ) -> Result<[u64; 2], MigrationError> {
        let earlier = self.old.of(topic.name).await?;
        let [earlier_messages, earlier_letters] = earlier.map_or([0, 0], |known| known.went_over);
        let letters = topic.dead_letters();
        let messages = match topic.groups.first() {
            Some(group) => {
                let part = (topic.name, Some(*group), earlier_messages);
                self.copy_stream(part, report).await?
            }
            // What nobody reads, nobody misses.
            None => self.new.received(topic.name).await?,
        };
        let copied = messages.count.saturating_sub(earlier_messages);
        let report_more = |count| report(count + copied);
        let part = (letters.as_str(), None, earlier_letters);
        let letters = self.copy_stream(part, &report_more).await?;
        self.old.done(topic, [messages, letters]).await?;
        reached(CrashPoint::BusMoveDone);
        Ok([copied, letters.count.saturating_sub(earlier_letters)])
    }

    async fn copy_stream(
        &self,
        (stream, group, earlier): (&str, Option<&str>, u64),
        report: &(dyn Fn(u64) + Sync),
    ) -> Result<Received, MigrationError> {
        let mut received = self.new.received(stream).await?;
        let mut after = received.up_to;
        loop {
            let page = self.old.left_behind(stream, group, (after, PAGE)).await?;
            let Some(up_to) = page.up_to else { break };
            after = up_to;
            let messages: Vec<StoredMessage> = page.messages.into_iter().map(known_by).collect();
            let count = received.count + u64::try_from(messages.len()).unwrap_or(u64::MAX);
            let next = Received { up_to, count };
            self.new
                .receive(stream, &messages, (received, next))
                .await?;
            reached(CrashPoint::BusMoveCopied);
            received = next;
            report(received.count.saturating_sub(earlier));
        }
        let expected = self.count(stream, group).await?;
        let arrived = received.count.saturating_sub(earlier);
        if expected != arrived {
            let stream = stream.to_owned();
            return Err(MigrationError::Mismatch {
                stream,
                expected,
                arrived,
            });
        }
        Ok(received)
    }

    /// How many messages of a stream that is put aside were not settled.
    async fn count(&self, stream: &str, group: Option<&str>) -> Result<u64, BusError> {
        let (mut count, mut after) = (0_u64, MessageId::ZERO);
        loop {
            let page = self.old.left_behind(stream, group, (after, PAGE)).await?;
            let Some(up_to) = page.up_to else {
                return Ok(count);
            };
            after = up_to;
            count += u64::try_from(page.messages.len()).unwrap_or(u64::MAX);
        }
    }
}

/// The message as it goes over: with the id by which it is known, if it may have had its effects.
fn known_by(left: LeftBehind) -> StoredMessage {
    let LeftBehind {
        mut message,
        repeat,
    } = left;
    if repeat && first_id::of(&message.fields, message.id).is_none() {
        first_id::put(&mut message.fields, message.id);
    }
    message
}
