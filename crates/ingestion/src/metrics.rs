//! The metrics of ingestion.

use metrics::counter;

/// Events answered by the API; counter; `status` is `accepted`, `duplicate` or `rejected`.
const ANSWERED: &str = "millrace_ingestion_events_total";
/// Requests turned away because too much is unfinished; counter. Alert when it keeps rising.
const TURNED_AWAY: &str = "millrace_ingestion_backlog_full_total";
/// Accepted events that could not be brought into normal form; counter; `reason`.
const REJECTED: &str = "millrace_normalizer_rejected_total";
/// Merge requests published; counter.
const MERGES: &str = "millrace_normalizer_merge_requests_total";
/// Batches resolved anew because somebody else attached an identifier meanwhile; counter.
const CONFLICTS: &str = "millrace_normalizer_conflicts_total";

pub(crate) fn answered(status: &'static str, events: usize) {
    if events > 0 {
        counter!(ANSWERED, "status" => status).increment(u64::try_from(events).unwrap_or(0));
    }
}

pub(crate) fn turned_away() {
    counter!(TURNED_AWAY).increment(1);
}

pub(crate) fn rejected(reason: &'static str) {
    counter!(REJECTED, "reason" => reason).increment(1);
}

pub(crate) fn merge_requested() {
    counter!(MERGES).increment(1);
}

pub(crate) fn conflict() {
    counter!(CONFLICTS).increment(1);
}
