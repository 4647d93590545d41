//! What is noted with a message that waits for its retry.

use rdkafka::Message as _;
use rdkafka::message::BorrowedMessage;

use crate::kafka::record::header;
use crate::message_id::MessageId;

const ID: &str = "millrace_id";
const DELIVERIES: &str = "millrace_deliveries";
const DUE_AT: &str = "millrace_due_at";
const FIRST_FAILED_AT: &str = "millrace_first_failed_at";
const LAST_FAILURE: &str = "millrace_last_failure";
/// The most bytes of a failure that are kept.
const LAST_FAILURE_MAX: usize = 8_192;

/// The failures of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::kafka) struct Failure {
    /// How often it was delivered before.
    pub(in crate::kafka) deliveries: u32,
    pub(in crate::kafka) due_ms: i64,
    pub(in crate::kafka) first_failed_ms: i64,
    /// The reason's code and the error.
    pub(in crate::kafka) last: String,
}

impl Failure {
    /// Reads what is noted with a record, and the id of its message.
    pub(in crate::kafka) fn of(record: &BorrowedMessage<'_>) -> Option<(MessageId, Self)> {
        let text = |name| std::str::from_utf8(header(record.headers(), name)?).ok();
        let failure = Self {
            deliveries: text(DELIVERIES)?.parse().ok()?,
            due_ms: text(DUE_AT)?.parse().ok()?,
            first_failed_ms: text(FIRST_FAILED_AT)?.parse().ok()?,
            last: text(LAST_FAILURE)?.to_owned(),
        };
        Some((text(ID)?.parse().ok()?, failure))
    }

    /// The headers to write.
    pub(super) fn headers(&self, id: MessageId) -> Vec<(&'static str, Vec<u8>)> {
        let last = self
            .last
            .get(..self.last.floor_char_boundary(LAST_FAILURE_MAX));
        [
            (ID, id.to_string()),
            (DELIVERIES, self.deliveries.to_string()),
            (DUE_AT, self.due_ms.to_string()),
            (FIRST_FAILED_AT, self.first_failed_ms.to_string()),
            (LAST_FAILURE, last.unwrap_or_default().to_owned()),
        ]
        .map(|(name, value)| (name, value.into_bytes()))
        .to_vec()
    }
}
