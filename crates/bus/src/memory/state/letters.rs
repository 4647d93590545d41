//! Dead letters in memory.

use common::topics::TopicInfo;
use common::{Message as _, UnixMillis};

use super::views::{elapsed, stored};
use super::{Group, Letters, State};
use crate::dead_letter::{DeadLetter, RETENTION, Redriven};
use crate::delivery::StoredMessage;
use crate::first_id;
use crate::late_letter::LateLetter;
use crate::message_id::MessageId;
use crate::operating::PendingMessage;
use crate::streams::RETRYING;

impl State {
    pub(crate) fn letters(&mut self, topic: &str) -> &mut Letters {
        self.letters.entry(topic.to_owned()).or_default()
    }

    pub(crate) fn redrive(
        &mut self,
        topic: &TopicInfo,
        id: MessageId,
        now: UnixMillis,
    ) -> Redriven {
        let stream = topic.dead_letters();
        let found = self.range(&stream, id, 1).into_iter().next();
        let Some(letter) = found.filter(|letter| letter.id == id) else {
            return Redriven::Unknown;
        };
        let mut letter = DeadLetter::from(letter);
        if letter.part.is_some() {
            return Redriven::part();
        }
        if letter.fields.0.is_empty() {
            return Redriven::empty();
        }
        if let Some(first) = letter.first_id {
            first_id::put(&mut letter.fields, first);
        }
        self.remove(&stream, id);
        self.letters(topic.name).redriven += 1;
        Redriven::As(self.append(topic.name, letter.fields, now))
    }

    pub(crate) fn discard(&mut self, topic: &TopicInfo, ids: &[MessageId]) -> Vec<bool> {
        let stream = topic.dead_letters();
        let removed = ids.iter().map(|id| self.remove(&stream, *id));
        let removed: Vec<bool> = removed.collect();
        let count = removed.iter().filter(|was_there| **was_there).count();
        self.letters(topic.name).discarded += u64::try_from(count).unwrap_or(u64::MAX);
        removed
    }

    pub(crate) fn give_up_late(
        &mut self,
        topic: &TopicInfo,
        letters: &[LateLetter],
        now: UnixMillis,
    ) -> u64 {
        let stream = topic.dead_letters();
        let mut late = 0;
        for letter in letters {
            if self.claim_once(&letter.claim(), now) {
                let mut fields = letter.fields.clone();
                letter.provenance(topic.name, now).encode(&mut fields);
                self.append(&stream, fields, now);
                late += 1;
            }
        }
        self.expire(topic.name, &stream, now);
        self.letters(topic.name).late += late;
        late
    }

    /// Removes letters that were kept long enough.
    pub(super) fn expire(&mut self, topic: &str, stream: &str, now: UnixMillis) {
        let oldest = now.minus(RETENTION);
        let letters = self.range(stream, MessageId::ZERO, usize::MAX);
        let written_at =
            |letter: &StoredMessage| i64::try_from(letter.id.major).unwrap_or(i64::MAX);
        for letter in letters {
            if written_at(&letter) < oldest.0 && self.remove(stream, letter.id) {
                self.letters(topic).expired += 1;
            }
        }
    }

    fn remove(&mut self, stream: &str, id: MessageId) -> bool {
        let stream = self.streams.get_mut(stream);
        stream.is_some_and(|stream| stream.entries.remove(&id).is_some())
    }

    pub(crate) fn settled_up_to(&self, topic: &str, group: &str) -> MessageId {
        let stream = self.streams.get(topic);
        let group = stream.and_then(|stream| stream.groups.get(group));
        group.map_or(MessageId::ZERO, Group::floor)
    }

    pub(crate) fn pending_messages(
        &self,
        topic: &str,
        group: &str,
        now: UnixMillis,
    ) -> Vec<PendingMessage> {
        let stream = self.streams.get(topic);
        let Some(group) = stream.and_then(|stream| stream.groups.get(group)) else {
            return Vec::new();
        };
        let all = group.pending.iter().map(|(id, held)| {
            let failure = group.failures.get(id);
            PendingMessage {
                id: *id,
                consumer: (held.consumer != RETRYING).then(|| held.consumer.clone()),
                idle: elapsed(held.since, now),
                deliveries: held.deliveries,
                first_failed_at: failure.map(|(first, _)| first.to_string()),
                last_failure: failure.map(|(_, last)| last.clone()),
            }
        });
        all.collect()
    }

    pub(crate) fn range_back(
        &self,
        name: &str,
        from: MessageId,
        count: usize,
    ) -> Vec<StoredMessage> {
        let Some(stream) = self.streams.get(name) else {
            return Vec::new();
        };
        let messages = stream.entries.range(..=from).rev().take(count);
        messages.map(stored).collect()
    }
}

#[cfg(test)]
mod tests {
    use common::RawFields;
    use common::time::DAY_MS;

    use super::*;

    #[test]
    fn letters_that_are_older_than_thirty_days_leave_and_are_counted() {
        let mut state = State::default();
        for day in [0, 1, 2] {
            state.append("t.dlq", RawFields::default(), UnixMillis(day * DAY_MS));
        }
        state.expire("t", "t.dlq", UnixMillis(31 * DAY_MS));
        assert_eq!(state.letters("t").expired, 1);
        assert_eq!(state.range("t.dlq", MessageId::ZERO, 10).len(), 2);
    }
}
