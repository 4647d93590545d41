//! What a stage does with messages: batch in, verdicts out.

use bus::{MessageId, Once, Output, Settlement, Verdict};
use common::{RawFields, Topic};

use crate::held::HeldMessages;

/// Does the work of a stage. `Err` = infrastructure failed, everything comes again; an error with
/// [`common::Unavailable`] in its chain makes the stage wait. A verdict = this message: dead letter
/// or retry, with its reason; or later, when a task of the processor has finished its work. No
/// verdict = done.
pub trait Processor: Send + Sync + 'static {
    /// The consumer group.
    const GROUP: &'static str;
    /// The stage's name in logs, metrics and `/ready`: another one where a group has several stages.
    const STAGE: &'static str = Self::GROUP;
    /// What it reads.
    type Input: Topic;

    /// Processes a batch. The same message may come again, also after it was processed.
    fn process(
        &self,
        batch: &Batch<Self::Input>,
    ) -> impl Future<Output = anyhow::Result<Verdicts>> + Send;

    /// Where messages with the verdict `later` are held and finished, if the processor gives it.
    fn held(&self) -> Option<&HeldMessages> {
        None
    }
}

/// Messages that are processed together.
#[derive(Debug)]
pub struct Batch<T: Topic> {
    /// The messages, in order of arrival.
    pub messages: Vec<Received<T::Message>>,
}

/// A message with the circumstances of its delivery.
#[derive(Debug, Clone)]
pub struct Received<M> {
    /// Its place in the topic; verdicts go by it.
    pub id: MessageId,
    /// The id under which it was first published: another one if it was redriven since. Effects
    /// that must happen once go by it.
    pub first_id: MessageId,
    /// How often it was delivered, this time included.
    pub deliveries: u32,
    /// Whether somebody may have processed it before: then its effects may be there already.
    pub repeat: bool,
    /// The message.
    pub message: M,
}

impl<T: Topic> Batch<T> {
    /// Notes that somebody may have processed the messages before: an attempt failed.
    pub(crate) fn may_be_repeats(&mut self) {
        for received in &mut self.messages {
            received.repeat = true;
        }
    }

    /// Takes the second half of the messages away into a batch of its own.
    #[must_use]
    pub fn split(&mut self) -> Self {
        Self {
            messages: self.messages.split_off(self.messages.len() / 2),
        }
    }
}

/// What is to become of the messages of a batch.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Verdicts {
    retry: Vec<Verdict>,
    dead: Vec<Verdict>,
    outputs: Vec<Output>,
    later: Vec<MessageId>,
}

impl Verdicts {
    /// Every message is done and causes nothing.
    pub fn all_done() -> Self {
        Self::default()
    }

    /// Gives a message up: it can never succeed.
    pub fn dead_letter(&mut self, id: MessageId, reason: &str, error: impl ToString) {
        let error = error.to_string();
        self.dead.push(Verdict {
            id,
            reason: reason.to_owned(),
            error,
        });
    }

    /// Has a message delivered again after its wait, if it has attempts left.
    pub fn retry(&mut self, id: MessageId, reason: &str, error: impl ToString) {
        let error = error.to_string();
        self.retry.push(Verdict {
            id,
            reason: reason.to_owned(),
            error,
        });
    }

    /// Keeps a message in hand until [`HeldMessages`] is told what became of it.
    pub fn later(&mut self, id: MessageId) {
        self.later.push(id);
    }

    /// The messages with the verdict `later`.
    pub(crate) fn take_later(&mut self) -> Vec<MessageId> {
        std::mem::take(&mut self.later)
    }

    /// Publishes a message in the atomic step that settles the one which caused it.
    pub fn publish<T: Topic>(&mut self, cause: MessageId, message: &T::Message) {
        self.push_output::<T>(cause, message, None);
    }

    /// [`Verdicts::publish`], if a claim succeeds in the same step.
    pub fn publish_once<T: Topic>(&mut self, cause: MessageId, message: &T::Message, once: Once) {
        self.push_output::<T>(cause, message, Some(once));
    }

    fn push_output<T: Topic>(
        &mut self,
        cause: MessageId,
        message: &T::Message,
        once: Option<Once>,
    ) {
        let fields = RawFields::of(message);
        self.outputs.push(Output {
            cause,
            topic: T::INFO.name,
            fields,
            once,
        });
    }

    /// What the bus is to do: every message of the batch is in one list. A message that is to be
    /// retried and has no attempts left is given up. `held` are in none: they are not settled yet.
    pub(crate) fn settlement<T: Topic>(
        self,
        batch: &Batch<T>,
        deliveries_max: u32,
        held: &[MessageId],
    ) -> Settlement {
        let mut settlement = Settlement {
            dead: self.dead,
            ..Settlement::default()
        };
        for verdict in self.retry {
            let received = batch
                .messages
                .iter()
                .find(|received| received.id == verdict.id);
            if received.is_some_and(|received| received.deliveries >= deliveries_max) {
                settlement.dead.push(verdict);
            } else {
                settlement.retry.push(verdict);
            }
        }
        let not_done: std::collections::HashSet<MessageId> = settlement
            .dead
            .iter()
            .chain(&settlement.retry)
            .map(|verdict| verdict.id)
            .chain(held.iter().copied())
            .collect();
        let ids = batch.messages.iter().map(|received| received.id);
        settlement.done = ids.filter(|id| !not_done.contains(id)).collect();
        settlement.outputs = self.outputs;
        settlement
    }
}
