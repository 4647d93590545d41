//! A processor that does as a test says, and remembers what it was given.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Result;
use common::{Clock, UnixMillis};
use tokio::sync::Semaphore;
use worker::{Batch, Processor, Verdicts};

use crate::notes::{Notes, READERS};

type Script = dyn Fn(&Batch<Notes>) -> Result<Verdicts> + Send + Sync;

/// Processes by a script. Clones share the memory and the gate.
#[derive(Clone)]
pub(crate) struct Scripted {
    script: Arc<Script>,
    clock: Arc<dyn Clock>,
    attempts: Arc<Mutex<Vec<Attempt>>>,
    /// Lets so many batches through.
    gate: Arc<Semaphore>,
}

/// One call of the processor.
#[derive(Debug, Clone)]
pub(crate) struct Attempt {
    pub(crate) at: UnixMillis,
    /// The numbers of the notes, with their deliveries.
    pub(crate) notes: Vec<(u32, u32)>,
    /// Whether they may have been processed before.
    pub(crate) repeat: Vec<bool>,
    pub(crate) succeeded: bool,
}

impl Attempt {
    pub(crate) fn numbers(&self) -> Vec<u32> {
        self.notes.iter().map(|(number, _)| *number).collect()
    }
}

impl Scripted {
    pub(crate) fn new(
        clock: &Arc<dyn Clock>,
        script: impl Fn(&Batch<Notes>) -> Result<Verdicts> + Send + Sync + 'static,
    ) -> Self {
        Self {
            script: Arc::new(script),
            clock: Arc::clone(clock),
            attempts: Arc::default(),
            gate: Arc::new(Semaphore::new(Semaphore::MAX_PERMITS)),
        }
    }

    /// Every message is done.
    pub(crate) fn finishing(clock: &Arc<dyn Clock>) -> Self {
        Self::new(clock, |_| Ok(Verdicts::all_done()))
    }

    /// The same with the gate closed: every batch waits in the processor.
    pub(crate) fn gated(mut self) -> Self {
        self.gate = Arc::new(Semaphore::new(0));
        self
    }

    /// Lets this batch and all that follow through.
    pub(crate) fn open_gate(&self) {
        self.gate.add_permits(Semaphore::MAX_PERMITS);
    }

    /// The calls so far, those that still wait at the gate included.
    pub(crate) fn attempts(&self) -> Vec<Attempt> {
        self.with(|attempts| attempts.clone())
    }

    /// The calls that were about one note, whether alone or not.
    pub(crate) fn attempts_on(&self, number: u32) -> Vec<Attempt> {
        let mut attempts = self.attempts();
        attempts.retain(|attempt| attempt.numbers().contains(&number));
        attempts
    }

    /// How often each note was in a batch that succeeded.
    pub(crate) fn successes(&self) -> BTreeMap<u32, u32> {
        let mut counts = BTreeMap::new();
        for attempt in self.attempts().iter().filter(|attempt| attempt.succeeded) {
            for number in attempt.numbers() {
                *counts.entry(number).or_default() += 1;
            }
        }
        counts
    }

    fn with<R>(&self, action: impl FnOnce(&mut Vec<Attempt>) -> R) -> R {
        action(&mut self.attempts.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Processor for Scripted {
    const GROUP: &'static str = READERS;
    type Input = Notes;

    async fn process(&self, batch: &Batch<Notes>) -> Result<Verdicts> {
        let place = self.with(|attempts| {
            let messages = &batch.messages;
            attempts.push(Attempt {
                at: self.clock.now(),
                notes: messages
                    .iter()
                    .map(|received| (received.message.0, received.deliveries))
                    .collect(),
                repeat: messages.iter().map(|received| received.repeat).collect(),
                succeeded: false,
            });
            attempts.len() - 1
        });
        drop(self.gate.acquire().await?);
        let verdicts = (self.script)(batch)?;
        self.with(|attempts| {
            if let Some(attempt) = attempts.get_mut(place) {
                attempt.succeeded = true;
            }
        });
        Ok(verdicts)
    }
}

/// Whether a batch has one of these notes.
pub(crate) fn has_any(batch: &Batch<Notes>, numbers: &[u32]) -> bool {
    let mut given = batch.messages.iter();
    given.any(|received| numbers.contains(&received.message.0))
}
