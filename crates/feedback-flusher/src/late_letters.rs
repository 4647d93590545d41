//! Dead letters of items: their messages were accepted, and their documents can never be kept.

use std::sync::Arc;

use bus::{Bus, BusError, LateLetter};
use common::ids::feedback_element_id;
use common::keys::FeedbackLetterKey;
use common::messages::{FeedbackKind, FeedbackReaction, FeedbackReply};
use common::topics::{FeedbackReactions, FeedbackReplies, Topic as _, TopicInfo, groups};
use common::{AgentId, Clock, FieldSink as _, RawFields, UnixMillis};
use stores::{FeedbackDocument, FeedbackItem};

use crate::metrics;

/// Characters of an error that are kept with a letter.
const ERROR_CHARS_MAX: usize = 1_000;

/// Writes letters.
#[derive(Debug, Clone)]
pub(crate) struct LateLetters {
    bus: Bus,
    clock: Arc<dyn Clock>,
    worker: String,
}

/// What is given up, and why.
#[derive(Debug, Clone)]
pub(crate) struct GivenUp<'a> {
    pub(crate) item: &'a FeedbackItem,
    /// A stable code.
    pub(crate) reason: &'static str,
    /// For a person.
    pub(crate) error: String,
    /// How often it was tried.
    pub(crate) attempts: u32,
}

impl LateLetters {
    /// `worker` is the name that letters say gave them up.
    pub(crate) fn new(bus: Bus, clock: Arc<dyn Clock>, worker: String) -> Self {
        Self { bus, clock, worker }
    }

    /// Writes a letter for each item that has none.
    pub(crate) async fn give_up(&self, all: &[GivenUp<'_>]) -> Result<(), BusError> {
        for topic in [FeedbackReplies::INFO, FeedbackReactions::INFO] {
            let letters: Vec<LateLetter> = all
                .iter()
                .filter(|given_up| topic_of(&given_up.item.document).name == topic.name)
                .map(|given_up| self.letter(given_up))
                .collect();
            self.write(&topic, letters).await?;
        }
        Ok(())
    }

    /// Writes a letter for each element of an agent's batch that is no item, unless there is one for
    /// the same element. Nobody knows which topic it came from.
    pub(crate) async fn give_up_elements(
        &self,
        agent: &AgentId,
        elements: &[String],
        attempts: u32,
    ) -> Result<(), BusError> {
        let now = self.clock.now();
        let letter = |element: &String| {
            let id = feedback_element_id(agent, element).to_string();
            let mut fields = RawFields::default();
            fields.field(FeedbackReplies::INFO.key, agent.as_str());
            fields.field("element", element);
            self.fields_given_up(fields, id, now, ("unreadable_item", attempts))
        };
        let letters = elements.iter().map(letter).collect();
        self.write(&FeedbackReplies::INFO, letters).await
    }

    async fn write(&self, topic: &TopicInfo, letters: Vec<LateLetter>) -> Result<(), BusError> {
        let Some(first) = letters.first() else {
            return Ok(());
        };
        let (count, reason, error) = (letters.len(), &first.reason, &first.error);
        tracing::error!(topic = topic.name, count, reason, error, "dead letters");
        let written = self.bus.give_up_late(topic, &letters).await?;
        tracing::debug!(written, "dead letters that were not there");
        Ok(())
    }

    fn letter(&self, given_up: &GivenUp<'_>) -> LateLetter {
        let GivenUp { item, reason, .. } = given_up;
        let fields = fields_of(&item.document);
        let facts = (*reason, given_up.attempts);
        let letter = self.fields_given_up(fields, item.origin.id.clone(), self.clock.now(), facts);
        LateLetter {
            error: given_up.error.chars().take(ERROR_CHARS_MAX).collect(),
            once: claim_of(item),
            ..letter
        }
    }

    fn fields_given_up(
        &self,
        fields: RawFields,
        id: String,
        now: UnixMillis,
        (reason, attempts): (&'static str, u32),
    ) -> LateLetter {
        metrics::letters(reason, 1);
        LateLetter {
            fields,
            group: groups::FEEDBACK_SERVICE,
            once: claim(FeedbackReplies::INFO.name, &id),
            id,
            attempts,
            reason: reason.to_owned(),
            error: "it lay in the batch and is no item".to_owned(),
            first_failed_at: now,
            worker: self.worker.clone(),
        }
    }
}

/// What names the giving-up of an item. One that another program put into the batch tells of no
/// message: it is named by what it is.
fn claim_of(item: &FeedbackItem) -> String {
    let FeedbackItem {
        document, origin, ..
    } = item;
    if !origin.id.is_empty() {
        return claim(&origin.stream, &origin.id);
    }
    let version = format!("{} {}", document.created_at, document.feedback_id);
    let id = feedback_element_id(&document.agent_id, &version);
    claim(topic_of(document).name, &id.to_string())
}

fn claim(stream: &str, id: &str) -> String {
    FeedbackLetterKey {
        stream: stream.to_owned(),
        id: id.to_owned(),
    }
    .to_string()
}

/// Where a document's message came from.
pub(crate) fn topic_of(document: &FeedbackDocument) -> TopicInfo {
    match document.kind {
        FeedbackKind::Reply => FeedbackReplies::INFO,
        FeedbackKind::Reaction => FeedbackReactions::INFO,
    }
}

/// The message of a document again. It has the natural id now, so it is the same item when it is
/// redriven.
fn fields_of(document: &FeedbackDocument) -> RawFields {
    let FeedbackDocument {
        feedback_id,
        agent_id,
        kind,
        room_id,
        message_id,
        user_id,
        text,
        rating,
        reaction,
        created_at,
        extra,
    } = document.clone();
    let agent_id = agent_id.to_string();
    let feedback_id = Some(feedback_id);
    match kind {
        FeedbackKind::Reply => RawFields::of(&FeedbackReply {
            agent_id,
            room_id,
            message_id,
            user_id,
            text: text.unwrap_or_default(),
            created_at,
            feedback_id,
            rating,
            extra,
        }),
        FeedbackKind::Reaction => RawFields::of(&FeedbackReaction {
            agent_id,
            room_id,
            message_id,
            user_id,
            reaction: reaction.unwrap_or_default(),
            created_at,
            feedback_id,
            extra,
        }),
    }
}
