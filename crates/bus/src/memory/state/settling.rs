//! Settling in memory.

use common::messages::DeadLetter;
use common::topics::DEAD_LETTER_SUFFIX;
use common::{Message, RawFields, UnixMillis};

use super::{Held, State};
use crate::message_id::MessageId;
use crate::server::Membership;
use crate::settlement::{Settled, Settlement, Verdict};
use crate::streams::RETRYING;

impl State {
    pub(crate) fn settle(
        &mut self,
        member: &Membership,
        all: &Settlement,
        now: UnixMillis,
    ) -> Settled {
        let mut settled = Settled::default();
        for id in &all.done {
            let group = self.group(member.topic, member.group);
            group.failures.remove(id);
            if group.pending.remove(id).is_none() {
                continue;
            }
            group.done += 1;
            settled.done += 1;
            for output in all.outputs.iter().filter(|output| output.cause == *id) {
                if output
                    .once
                    .as_ref()
                    .is_none_or(|once| self.claim_once(once, now))
                {
                    self.append(output.topic, output.fields.clone(), now);
                    settled.published += 1;
                }
            }
        }
        for verdict in &all.retry {
            settled.retried += u64::from(self.retry(member, verdict, now));
        }
        for verdict in &all.dead {
            settled.dead += u64::from(self.bury(member, verdict, now));
        }
        settled
    }

    fn retry(&mut self, member: &Membership, verdict: &Verdict, now: UnixMillis) -> bool {
        let group = self.group(member.topic, member.group);
        let mine = group
            .pending
            .get_mut(&verdict.id)
            .filter(|h| h.consumer == member.consumer);
        let Some(held) = mine else { return false };
        let deliveries = held.deliveries;
        *held = Held {
            consumer: RETRYING.to_owned(),
            since: now,
            deliveries,
        };
        let reason = format!("{}: {}", verdict.reason, verdict.error);
        group
            .failures
            .entry(verdict.id)
            .or_insert((now, String::new()))
            .1 = reason;
        true
    }

    fn bury(&mut self, member: &Membership, verdict: &Verdict, now: UnixMillis) -> bool {
        let group = self.group(member.topic, member.group);
        if group
            .pending
            .get(&verdict.id)
            .is_none_or(|held| held.consumer != member.consumer)
        {
            return false;
        }
        let attempts = group
            .pending
            .remove(&verdict.id)
            .map_or(0, |held| held.deliveries);
        let failure = group.failures.remove(&verdict.id);
        let Some(mut fields) = self.fields(member.topic, verdict.id) else {
            self.group(member.topic, member.group).vanished += 1;
            return false;
        };
        let mut error = verdict.error.clone();
        if let Some((_, last)) = failure.as_ref().filter(|(_, last)| *last != error) {
            error = format!("{error}; last failure: {last}");
        }
        let letter = DeadLetter {
            reason: verdict.reason.clone(),
            error,
            stream: member.topic.to_owned(),
            id: verdict.id.to_string(),
            group: member.group.to_owned(),
            attempts,
            first_failed_at: failure.map_or(now, |(first, _)| first),
            failed_at: now,
            worker: member.consumer.clone(),
            part: None,
            extra: Vec::new(),
        };
        letter.encode(&mut fields);
        let letters = format!("{}{DEAD_LETTER_SUFFIX}", member.topic);
        self.append(&letters, fields, now);
        self.expire(member.topic, &letters, now);
        self.group(member.topic, member.group).dead += 1;
        true
    }

    fn fields(&self, topic: &str, id: MessageId) -> Option<RawFields> {
        self.streams.get(topic)?.entries.get(&id).cloned()
    }
}
