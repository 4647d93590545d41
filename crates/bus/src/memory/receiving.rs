//! Taking topics in that lived on Redis.

use async_trait::async_trait;

use super::MemoryServer;
use crate::delivery::StoredMessage;
use crate::error::BusError;
use crate::moves::{Received, Receiving};

#[async_trait]
impl Receiving for MemoryServer {
    async fn received(&self, stream: &str) -> Result<Received, BusError> {
        Ok(self.with(|state, _| state.received(stream)))
    }

    async fn receive(
        &self,
        stream: &str,
        messages: &[StoredMessage],
        step: (Received, Received),
    ) -> Result<(), BusError> {
        if !self.with(|state, now| state.receive(stream, messages, step, now)) {
            let rival = format!("somebody else is moving {stream}, too");
            return Err(BusError::Moved(rival));
        }
        self.shared.published.notify_waiters();
        Ok(())
    }
}
