//! Feedback of a round, each piece of which follows from its number.

use std::collections::BTreeMap;
use std::ops::Range;
use std::time::Duration;

use anyhow::{Context as _, Result};
use bus::Bus;
use common::ids::{reaction_id, reply_id};
use common::messages::{FeedbackKind, FeedbackReaction, FeedbackReply};
use common::topics::{FeedbackReactions, FeedbackReplies};
use common::{AgentId, UnixMillis};
use stores::FeedbackDocument;
use testkit::servers::eventually_async;
use tokio::runtime::Runtime;

use crate::mill::Source;

/// Agents of a round, unless a fault has it otherwise; few, so that their batches are full soon.
pub(crate) const AGENTS: u64 = 11;
/// How long one call is repeated: longer than any fault.
const PATIENCE: Duration = Duration::from_mins(3);
/// The first and the last day that can be said.
const LONG_AGO: UnixMillis = UnixMillis(-62_135_000_000_000);
const FAR_AHEAD: UnixMillis = UnixMillis(253_402_000_000_000);
const GIVEN_AT: i64 = 1_767_225_600_000;

/// Gives feedback as the chat service does, and knows what the bus has accepted.
pub(crate) struct Given {
    pub(super) round: String,
    pub(super) agents: u64,
    bus: Bus,
    runtime: Runtime,
    accepted: u64,
}

/// A message of either topic.
enum Message {
    Reply(FeedbackReply),
    Reaction(FeedbackReaction),
}

impl Given {
    /// `connect` connects to the bus.
    pub(super) fn of_round(
        round: &str,
        agents: u64,
        connect: impl AsyncFnOnce() -> Result<Bus>,
    ) -> Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let bus = runtime.block_on(connect())?;
        Ok(Self {
            round: round.to_owned(),
            agents,
            bus,
            runtime,
            accepted: 0,
        })
    }

    /// The agents that feedback was given on.
    pub(super) fn agents(&self) -> Result<Vec<AgentId>> {
        let names = (0..self.agents).map(|agent| agent_name(&self.round, agent));
        Ok(names.map(AgentId::new).collect::<Result<Vec<_>, _>>()?)
    }

    /// The documents that there must be.
    pub(super) fn documents(&self) -> Result<BTreeMap<String, FeedbackDocument>> {
        let documents = (0..self.accepted).map(|number| {
            let document = document(self.message(number))?;
            Ok((document.feedback_id.clone(), document))
        });
        documents.collect()
    }

    fn message(&self, number: u64) -> Message {
        let round = &self.round;
        let agent_id = agent_name(round, number % self.agents);
        let (room_id, message_id) = (format!("room-{round}"), format!("{round}-m{number}"));
        let user_id = format!("user-{}", number % 7);
        let created_at = match number % 13 {
            0 => LONG_AGO,
            1 => FAR_AHEAD,
            _ => UnixMillis(GIVEN_AT.saturating_add_unsigned(number)),
        };
        let feedback_id = number
            .is_multiple_of(3)
            .then(|| format!("{round}-f{number}"));
        let extra = vec![("number".to_owned(), number.to_string())];
        if number % 5 == 3 {
            let reaction = if number % 25 == 3 {
                "thumbs_down"
            } else {
                "heart"
            };
            return Message::Reaction(FeedbackReaction {
                agent_id,
                room_id,
                message_id,
                user_id,
                reaction: reaction.to_owned(),
                created_at,
                feedback_id,
                extra,
            });
        }
        let rating = if number.is_multiple_of(17) { "1" } else { "5" };
        Message::Reply(FeedbackReply {
            agent_id,
            room_id,
            message_id,
            user_id,
            text: format!("what {round} says for the {number}th time"),
            created_at,
            feedback_id,
            rating: Some(rating.to_owned()),
            extra,
        })
    }
}

impl Source for Given {
    const BATCH: u64 = 25;
    const MOST: u64 = 1_000_000;

    /// Some are sent twice at once, some again with the next ones, and those of a call without an
    /// answer again, too.
    fn send(&mut self, numbers: Range<u64>) -> Result<()> {
        let (mut replies, mut reactions) = (Vec::new(), Vec::new());
        let mut add = |number| match self.message(number) {
            Message::Reply(reply) => replies.push(reply),
            Message::Reaction(reaction) => reactions.push(reaction),
        };
        let accepted = numbers.end;
        for number in numbers {
            add(number);
            if number % 10 == 7 {
                add(number);
            }
            if number % 10 == 4 && number >= Self::BATCH {
                add(number - Self::BATCH);
            }
        }
        let bus = &self.bus;
        self.runtime.block_on(async {
            let accepted = async || bus.publish::<FeedbackReplies>(&replies).await.ok();
            eventually_async("the bus to take replies", PATIENCE, accepted).await?;
            let accepted = async || bus.publish::<FeedbackReactions>(&reactions).await.ok();
            eventually_async("the bus to take reactions", PATIENCE, accepted).await
        })?;
        self.accepted = accepted;
        Ok(())
    }

    fn accepted(&self) -> i64 {
        i64::try_from(self.accepted).unwrap_or(i64::MAX)
    }
}

pub(super) fn agent_name(round: &str, agent: u64) -> String {
    format!("{round}-agent-{agent}")
}

/// What a message must become.
fn document(message: Message) -> Result<FeedbackDocument> {
    Ok(match message {
        Message::Reply(reply) => FeedbackDocument {
            feedback_id: reply
                .feedback_id
                .unwrap_or_else(|| reply_id(&reply.message_id)),
            agent_id: AgentId::new(reply.agent_id).context("an agent's name")?,
            kind: FeedbackKind::Reply,
            room_id: reply.room_id,
            message_id: reply.message_id,
            user_id: reply.user_id,
            text: Some(reply.text),
            rating: reply.rating,
            reaction: None,
            created_at: reply.created_at,
            extra: reply.extra,
        },
        Message::Reaction(given) => FeedbackDocument {
            feedback_id: given
                .feedback_id
                .unwrap_or_else(|| reaction_id(&given.message_id, &given.user_id, &given.reaction)),
            agent_id: AgentId::new(given.agent_id).context("an agent's name")?,
            kind: FeedbackKind::Reaction,
            room_id: given.room_id,
            message_id: given.message_id,
            user_id: given.user_id,
            text: None,
            rating: None,
            reaction: Some(given.reaction),
            created_at: given.created_at,
            extra: given.extra,
        },
    })
}
