//! What the people who run the bus ask of it.

use common::topics::TopicInfo;
use redis_link::ServerStatus;

use super::Bus;
use crate::dead_letter::{DeadLetter, Redriven};
use crate::decisions;
use crate::delivery::StoredMessage;
use crate::error::BusError;
use crate::late_letter::LateLetter;
use crate::message_id::MessageId;
use crate::metrics;
use crate::operating::PendingMessage;

/// The most letters in one call to a server; longer lists are split. A letter may be large, and
/// nobody else is served while they are published.
const LETTERS_CHUNK: usize = 100;

impl Bus {
    /// Delivered messages of a group that are not settled, after an id, in order. Nothing when there
    /// is no such group.
    pub async fn pending(
        &self,
        topic: &TopicInfo,
        group: &str,
        after: MessageId,
        count: usize,
    ) -> Result<Vec<PendingMessage>, BusError> {
        self.server
            .pending_messages(topic, group, after, count)
            .await
    }

    /// The highest id up to which the group has settled everything, as of now: not the value that
    /// trimming recorded. [`MessageId::ZERO`] when there is no such group.
    pub async fn settled_up_to(
        &self,
        topic: &TopicInfo,
        group: &str,
    ) -> Result<MessageId, BusError> {
        self.server.settled_up_to(topic, group).await
    }

    /// Dead letters of a topic in order, from an id of the dead-letter stream on.
    pub async fn dead_letters(
        &self,
        topic: &TopicInfo,
        from: MessageId,
        count: usize,
    ) -> Result<Vec<DeadLetter>, BusError> {
        let letters = self.range(&topic.dead_letters(), from, count).await?;
        Ok(letters.into_iter().map(DeadLetter::from).collect())
    }

    /// One dead letter by its id in the dead-letter stream.
    pub async fn dead_letter(
        &self,
        topic: &TopicInfo,
        id: MessageId,
    ) -> Result<Option<DeadLetter>, BusError> {
        let letters = self.dead_letters(topic, id, 1).await?;
        Ok(letters.into_iter().find(|letter| letter.id == id))
    }

    /// Publishes the messages of dead letters again, for every group of the topic, and removes the
    /// letters; each in one atomic step. A message says under which id it was first published, see
    /// [`Delivery::first_id`](crate::Delivery::first_id). Gives what became of each, in order. When it fails, some
    /// may have been published: after a repeat those are unknown, and nothing is published twice.
    /// Each decision is in the log.
    pub async fn redrive(
        &self,
        topic: &TopicInfo,
        ids: &[MessageId],
    ) -> Result<Vec<Redriven>, BusError> {
        let mut all = Vec::with_capacity(ids.len());
        for chunk in ids.chunks(LETTERS_CHUNK) {
            decisions::announce("redrive", topic, chunk);
            let redriven = self.server.redrive(topic, chunk).await?;
            decisions::redriven(topic, chunk, &redriven);
            let published = redriven.iter().filter(|r| matches!(r, Redriven::As(_)));
            metrics::letters(metrics::REDRIVEN, topic.name, published.count());
            all.extend(redriven);
        }
        Ok(all)
    }

    /// Writes dead letters of messages that were settled before, see [`LateLetter`]; gives how many.
    /// A letter whose claim was taken is not written again, so repeating the call is harmless.
    pub async fn give_up_late(
        &self,
        topic: &TopicInfo,
        letters: &[LateLetter],
    ) -> Result<u64, BusError> {
        let mut late = 0;
        let groups = letters.chunk_by(|a, b| a.group == b.group);
        for chunk in groups.flat_map(|group| group.chunks(LETTERS_CHUNK)) {
            let written = self.server.give_up_late(topic, chunk).await?;
            if let Some(letter) = chunk.first() {
                metrics::count(metrics::DEAD, topic.name, letter.group, written);
            }
            late += written;
        }
        Ok(late)
    }

    /// Removes dead letters for good; gives of each whether it was there, in order. Each decision is
    /// in the log.
    pub async fn discard(
        &self,
        topic: &TopicInfo,
        ids: &[MessageId],
    ) -> Result<Vec<bool>, BusError> {
        let mut all = Vec::with_capacity(ids.len());
        for chunk in ids.chunks(LETTERS_CHUNK) {
            decisions::announce("discard", topic, chunk);
            let discarded = self.server.discard(topic, chunk).await?;
            decisions::discarded(topic, chunk, &discarded);
            let count = discarded.iter().filter(|was_there| **was_there).count();
            metrics::letters(metrics::DISCARDED, topic.name, count);
            all.extend(discarded);
        }
        Ok(all)
    }

    /// Messages of a stream (a topic or its dead letters), newest first, from an id down;
    /// [`MessageId::MAX`] for the newest.
    pub async fn range_back(
        &self,
        stream: &str,
        from: MessageId,
        count: usize,
    ) -> Result<Vec<StoredMessage>, BusError> {
        self.server.range_back(stream, from, count).await
    }

    /// How the server is: version, memory, clients.
    pub async fn server_status(&self) -> Result<ServerStatus, BusError> {
        self.server.status().await
    }
}
