//! Where a message is, for each of the groups that read its topic.

use std::collections::BTreeMap;

use anyhow::Context as _;
use bus::{Bus, DeadLetter, MessageId, TopicOverview};
use common::UnixMillis;
use serde::Serialize;
use stores::{Features, MessageKey};

use super::timeline::Found;
use crate::pending::millis;

/// A message, as one group has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct GroupState {
    pub(super) group: String,
    #[serde(flatten)]
    pub(super) state: State,
    /// When its effects were applied in SQL.
    pub(super) applied_at: Option<String>,
    /// The same from when the message was published; negative when it was redriven with its effects
    /// already there.
    pub(super) applied_after_ms: Option<i64>,
}

/// Every message is in one of these.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub(super) enum State {
    /// Nobody has read it yet.
    Undelivered,
    /// Somebody works on it.
    Held {
        holder: String,
        idle_ms: u64,
        attempts: u32,
    },
    /// It failed and waits for its retry.
    Retrying {
        idle_ms: u64,
        attempts: u32,
        first_failed_at: Option<String>,
        last_failure: Option<String>,
    },
    Done,
    /// It was given up.
    Dead(Letter),
    /// It was given up, and is another message now.
    Redriven {
        message: String,
    },
}

/// Why and when.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Letter {
    pub(super) dead_letter_id: String,
    pub(super) reason: String,
    pub(super) error: String,
    pub(super) attempts: u32,
    pub(super) first_failed_at: String,
    pub(super) given_up_at: String,
}

/// Asks the bus and the database.
pub(super) struct Groups<'a> {
    bus: &'a Bus,
    features: Option<Features>,
    sql_error: Option<String>,
    overviews: BTreeMap<&'static str, TopicOverview>,
}

impl<'a> Groups<'a> {
    pub(super) fn new(bus: &'a Bus, features: Features) -> Self {
        Self {
            bus,
            features: Some(features),
            sql_error: None,
            overviews: BTreeMap::new(),
        }
    }

    /// Why the database could not be asked.
    pub(super) fn into_sql_error(self) -> Option<String> {
        self.sql_error
    }

    /// The states of a message. Of a message that has left the stream only the letters are known.
    pub(super) async fn of(&mut self, found: Found<'_>) -> anyhow::Result<Vec<GroupState>> {
        let mut all = Vec::new();
        for group in found.topic.groups {
            let letter = found.letters.iter().find(|letter| letter.group == *group);
            let state = match letter {
                Some(letter) => State::Dead(Letter::of(letter)),
                None if found.is_there => self.state(found, group).await?,
                None => continue,
            };
            let applied_at = self.applied_at(group, found.first_id).await;
            let applied_at = applied_at.filter(|at| is_early_enough(*at, found.redriven_as));
            let published = published_at(found.id);
            all.push(GroupState {
                group: (*group).to_owned(),
                state,
                applied_at: applied_at.map(|at| at.to_string()),
                applied_after_ms: applied_at.map(|at| at.0.saturating_sub(published.0)),
            });
        }
        Ok(all)
    }

    /// What is beyond the last delivered message is delivered to nobody; what was delivered and is
    /// not pending is settled. In this order, so that a message that moves meanwhile is not taken
    /// for done before it is.
    async fn state(&mut self, found: Found<'_>, group: &str) -> anyhow::Result<State> {
        let (topic, id) = (&found.topic, found.id);
        let looking = || format!("looking at {}", topic.name);
        if !self.overviews.contains_key(topic.name) {
            let overview = self.bus.overview(topic).await.with_context(looking)?;
            self.overviews.insert(topic.name, overview);
        }
        let overview = self.overviews.get(topic.name);
        let groups = overview.map_or(&[][..], |overview| &overview.groups);
        let known = groups.iter().find(|known| known.name == group);
        if known.is_none_or(|known| id > known.delivered_up_to) {
            return Ok(State::Undelivered);
        }
        let pending = self.bus.pending(topic, group, id.previous(), 1).await;
        let pending = pending.with_context(looking)?;
        let Some(pending) = pending.into_iter().find(|pending| pending.id == id) else {
            return Ok(settled(found));
        };
        let (idle_ms, attempts) = (millis(pending.idle), pending.deliveries);
        Ok(match pending.consumer {
            Some(holder) => State::Held {
                holder,
                idle_ms,
                attempts,
            },
            None => State::Retrying {
                idle_ms,
                attempts,
                first_failed_at: pending.first_failed_at,
                last_failure: pending.last_failure,
            },
        })
    }

    /// The rest of a trace is worth showing without the database.
    async fn applied_at(&mut self, group: &str, id: MessageId) -> Option<UnixMillis> {
        let message = MessageKey {
            major: id.major,
            minor: id.minor,
        };
        let asked = self.features.as_ref()?.applied_at(group, message).await;
        match asked {
            Ok(applied_at) => applied_at,
            Err(error) => {
                self.sql_error = Some(worker::explain(&error.into()));
                self.features = None;
                None
            }
        }
    }
}

/// What became of a message that nobody has any more. Its letter is gone when it was redriven, and
/// of several groups it is not known which had given it up.
fn settled(found: Found<'_>) -> State {
    match found.redriven_as {
        Some(message) if found.topic.groups.len() == 1 => State::Redriven {
            message: message.to_string(),
        },
        _ => State::Done,
    }
}

/// Whether effects may be those of a message that was redriven as another one. The database knows
/// both by the same id; what was applied after the other was published is the other's.
fn is_early_enough(applied_at: UnixMillis, redriven_as: Option<MessageId>) -> bool {
    redriven_as.is_none_or(|next| applied_at < published_at(next))
}

fn published_at(id: MessageId) -> UnixMillis {
    UnixMillis(i64::try_from(id.major).unwrap_or(i64::MAX))
}

impl Letter {
    fn of(letter: &DeadLetter) -> Self {
        Self {
            dead_letter_id: letter.id.to_string(),
            reason: letter.reason.clone(),
            error: letter.error.clone(),
            attempts: letter.attempts,
            first_failed_at: letter.first_failed_at.clone(),
            given_up_at: letter.failed_at.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn effects_are_those_of_the_last_message_that_was_there() {
        let next = MessageId { major: 7, minor: 0 };
        for (applied_at, next, expected) in [
            (6, Some(next), true),
            (7, Some(next), false),
            (8, Some(next), false),
            (8, None, true),
        ] {
            let is_its_own = is_early_enough(UnixMillis(applied_at), next);
            assert_eq!(is_its_own, expected, "{applied_at} {next:?}");
        }
    }
}
