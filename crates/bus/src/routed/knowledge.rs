//! What a process knows of topics that move.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::error::BusError;
use crate::moves::{Move, MoveState};
use crate::redis::RedisMoves;

/// After so long it is looked again. Who knows too little does no harm: Redis refuses him.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);

/// How far the move of a topic had come, and when that was looked at.
type Seen = (Option<MoveState>, Instant);

/// How far topics have moved, as it was known a moment ago.
#[derive(Debug)]
pub(super) struct Knowledge {
    moves: RedisMoves,
    known: Mutex<HashMap<String, Seen>>,
}

impl Knowledge {
    pub(super) fn new(moves: RedisMoves) -> Self {
        Self {
            moves,
            known: Mutex::default(),
        }
    }

    /// How far the move of a topic has come; `None` if nobody moves it. A topic never moves back, so
    /// what is done is not asked again.
    pub(super) async fn of(&self, topic: &str) -> Result<Option<MoveState>, BusError> {
        if let Some((state, _)) = self.fresh(topic) {
            return Ok(state);
        }
        let looked_at = Instant::now();
        let state = self.moves.of(topic).await?;
        let state = state.map(|Move { state, .. }| state);
        self.with(|known| known.insert(topic.to_owned(), (state, looked_at)));
        Ok(state)
    }

    /// Has the next look go to the server.
    pub(super) fn forget(&self, topic: &str) {
        self.with(|known| known.remove(topic));
    }

    /// Has the next look at every topic go to the server.
    pub(super) fn forget_all(&self) {
        self.with(HashMap::clear);
    }

    fn fresh(&self, topic: &str) -> Option<Seen> {
        let (state, looked_at) = self.with(|known| known.get(topic).copied())?;
        let is_final = state == Some(MoveState::Done);
        (is_final || looked_at.elapsed() < LOOK_INTERVAL).then_some((state, looked_at))
    }

    fn with<R>(&self, action: impl FnOnce(&mut HashMap<String, Seen>) -> R) -> R {
        action(&mut self.known.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
