//! Messages that stay in hand until their work is finished elsewhere.
//!
//! A processor that only collects gives the verdict `later`; its own task says, perhaps minutes
//! afterwards, what became of the message. Until then the lease is renewed, so nobody else gets it.
//! When the process dies, everything that was held comes again.

use std::collections::BTreeMap;
use std::sync::Arc;

use bus::{DeliveryBatch, MessageId, Settlement, Verdict};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// The messages that one stage holds. Clones are the same.
#[derive(Debug, Clone)]
pub struct HeldMessages {
    state: Arc<watch::Sender<State>>,
    most: usize,
}

/// Messages with the deliveries of each.
pub(crate) type Unfinished = Vec<(MessageId, u32)>;

#[derive(Debug, Default)]
struct State {
    held: BTreeMap<MessageId, Held>,
    /// Those whose outcome is known and which the processor has given the verdict `later`.
    finished: Vec<MessageId>,
    reading_ended: bool,
    given_up: bool,
}

#[derive(Debug)]
struct Held {
    deliveries: u32,
    /// Absent as long as the processor has the message.
    lease: Option<Arc<DeliveryBatch>>,
    outcome: Option<Outcome>,
}

#[derive(Debug)]
enum Outcome {
    Done,
    Retry(Verdict),
    Dead(Verdict),
}

/// Outcomes that the stage is to settle.
#[derive(Debug, Default)]
pub(crate) struct Finished {
    pub(crate) settlement: Settlement,
    leases: Vec<(MessageId, Arc<DeliveryBatch>)>,
}

impl HeldMessages {
    /// When so many are held the stage begins no further batch until some are finished; so at most
    /// that many and a batch are held.
    pub fn new(most: usize) -> Self {
        Self {
            state: Arc::new(watch::Sender::new(State::default())),
            most,
        }
    }

    /// Messages are done. Messages that are not held are ignored: others have them now.
    pub fn done(&self, ids: &[MessageId]) {
        self.decide(ids.iter().map(|id| (*id, Outcome::Done)));
    }

    /// Has messages delivered again after their wait, if they have attempts left.
    pub fn retry(&self, verdicts: Vec<Verdict>) {
        self.decide(
            verdicts
                .into_iter()
                .map(|verdict| (verdict.id, Outcome::Retry(verdict))),
        );
    }

    /// Gives messages up: they can never succeed.
    pub fn dead_letter(&self, verdicts: Vec<Verdict>) {
        self.decide(
            verdicts
                .into_iter()
                .map(|verdict| (verdict.id, Outcome::Dead(verdict))),
        );
    }

    /// How many are held.
    pub fn count(&self) -> usize {
        self.state.borrow().held.len()
    }

    /// Whether the stage waits until some are finished.
    pub fn is_full(&self) -> bool {
        self.count() >= self.most
    }

    /// Waits until the stage has been stopped and will hold nothing more.
    pub async fn reading_ended(&self) {
        self.wait_for(|state| state.reading_ended).await;
    }

    /// After a signal to stop: what is unfinished is handed back, so that peers take it at once.
    pub fn hand_back(&self) {
        self.state.send_modify(|state| state.given_up = true);
    }

    fn decide(&self, outcomes: impl Iterator<Item = (MessageId, Outcome)>) {
        self.state.send_modify(|state| {
            for (id, outcome) in outcomes {
                let Some(held) = state.held.get_mut(&id) else {
                    continue;
                };
                if held.outcome.is_none() && held.lease.is_some() {
                    state.finished.push(id);
                }
                held.outcome.get_or_insert(outcome);
            }
        });
    }

    /// A batch goes to the processor, whose task may finish some of it before the processor answers.
    pub(crate) fn begin(&self, messages: impl Iterator<Item = (MessageId, u32)>) {
        self.state.send_modify(|state| {
            for (id, deliveries) in messages {
                let held = Held {
                    deliveries,
                    lease: None,
                    outcome: None,
                };
                state.held.insert(id, held);
            }
        });
    }

    /// These stay, with their lease.
    pub(crate) fn keep(&self, ids: &[MessageId], lease: &Arc<DeliveryBatch>) {
        self.state.send_modify(|state| {
            for id in ids {
                if let Some(held) = state.held.get_mut(id) {
                    held.lease = Some(Arc::clone(lease));
                    if held.outcome.is_some() {
                        state.finished.push(*id);
                    }
                }
            }
        });
    }

    /// These are the stage's own again.
    pub(crate) fn forget(&self, ids: impl Iterator<Item = MessageId>) {
        self.state.send_modify(|state| {
            for id in ids {
                state.held.remove(&id);
            }
        });
    }

    /// Waits for room for a batch, unless the stage is to stop.
    pub(crate) async fn room(&self, stop: &CancellationToken) {
        tokio::select! {
            () = stop.cancelled() => {}
            () = self.wait_for(|state| state.held.len() < self.most) => {}
        }
    }

    pub(crate) fn end_reading(&self) {
        self.state.send_modify(|state| state.reading_ended = true);
    }

    /// The next outcomes, as soon as there are some; `None` when there will be no more.
    pub(crate) async fn finished(&self, deliveries_max: u32) -> Option<Finished> {
        self.wait_for(|state| {
            let over = state.held.is_empty() || state.given_up;
            !state.finished.is_empty() || (state.reading_ended && over)
        })
        .await;
        let mut finished = Finished::default();
        self.state.send_if_modified(|state| {
            for id in std::mem::take(&mut state.finished) {
                if let Some(held) = state.held.remove(&id) {
                    finished.add(id, held, deliveries_max);
                }
            }
            !finished.leases.is_empty()
        });
        let over = finished.leases.is_empty();
        (!over || !self.is_over()).then_some(finished)
    }

    /// What nobody has finished, in order. It is no longer held.
    pub(crate) fn unfinished(&self) -> Unfinished {
        let mut unfinished = Vec::new();
        self.state.send_modify(|state| {
            let held = std::mem::take(&mut state.held);
            unfinished.extend(held.into_iter().map(|(id, held)| (id, held.deliveries)));
        });
        unfinished
    }

    fn is_over(&self) -> bool {
        let state = self.state.borrow();
        state.reading_ended && (state.held.is_empty() || state.given_up)
    }

    async fn wait_for(&self, condition: impl FnMut(&State) -> bool) {
        // It cannot end otherwise: the sender lives as long as this.
        self.state.subscribe().wait_for(condition).await.ok();
    }
}

impl Finished {
    /// Ends the renewal of their leases: they are settled.
    pub(crate) fn release(self) {
        for (id, lease) in self.leases {
            lease.release(&[id]);
        }
    }

    fn add(&mut self, id: MessageId, held: Held, deliveries_max: u32) {
        let Held {
            deliveries,
            lease,
            outcome,
        } = held;
        match outcome {
            None | Some(Outcome::Done) => self.settlement.done.push(id),
            Some(Outcome::Retry(verdict)) if deliveries < deliveries_max => {
                self.settlement.retry.push(verdict);
            }
            Some(Outcome::Retry(verdict) | Outcome::Dead(verdict)) => {
                self.settlement.dead.push(verdict);
            }
        }
        self.leases.extend(lease.map(|lease| (id, lease)));
    }
}
