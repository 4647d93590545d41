//! What can go wrong on the bus.

use common::Unavailable;
use redis_link::LinkError;

/// A bus operation that gave no result.
#[derive(Debug, thiserror::Error)]
pub enum BusError {
    /// The server does not answer or cannot work now. Wait and repeat.
    // Not transparent: the runtime looks for the cause in the chain of sources.
    #[error("{0}")]
    Unavailable(#[from] Unavailable),
    /// The server has lost the consumer group or the whole stream. Open the group again.
    #[error("the consumer group is gone: {0}")]
    GroupGone(String),
    /// The server refused or answered nonsense. Repeating changes nothing.
    #[error(transparent)]
    Refused(LinkError),
    /// The topic went to another server, and what was asked for is not possible on this one.
    #[error("{0}")]
    Moved(String),
    /// Kafka refused. Repeating changes nothing.
    #[error("{0}")]
    Declined(String),
    /// The server's settings allow work to be lost, and nobody said that this is fine.
    #[error("{0}; or pass --allow-eviction to accept the loss")]
    Unsafe(String),
}

impl BusError {
    /// Whether the same call may succeed later.
    pub fn is_unavailable(&self) -> bool {
        matches!(self, Self::Unavailable(_))
    }
}

impl From<LinkError> for BusError {
    fn from(error: LinkError) -> Self {
        match error {
            LinkError::Unavailable(unavailable) => Self::Unavailable(unavailable),
            // A blocked reader of a stream that is deleted is told UNBLOCKED.
            refused if matches!(refused.code(), Some("NOGROUP" | "UNBLOCKED")) => {
                Self::GroupGone(refused.to_string())
            }
            refused => Self::Refused(refused),
        }
    }
}
