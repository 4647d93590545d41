//! The metrics of the flusher.

use std::time::Duration;

use metrics::{counter, gauge, histogram};
use stores::BatchesOverview;

/// Items that were added to their batches; counter; `stage`.
const ADDED: &str = "millrace_feedback_items_added_total";
/// Items that wait, in all batches of the store; gauge. Alert when it keeps rising.
const WAITING: &str = "millrace_feedback_items_waiting";
/// Batches that wait; gauge.
const BATCHES: &str = "millrace_feedback_batches";
/// Seconds that the oldest batch has waited; gauge. Alert when it is above twice the batch time.
const OLDEST: &str = "millrace_feedback_oldest_batch_seconds";
/// Flushes that were begun, by how they ended; counter; `outcome` (`finished`, `released`, `lost`).
const FLUSHES: &str = "millrace_feedback_flushes_total";
/// Flushes that were given up for now; counter; `reason`. Alert when it keeps rising.
const RELEASED: &str = "millrace_feedback_released_total";
/// Seconds from taking a batch to dropping it; histogram.
const SECONDS: &str = "millrace_feedback_flush_seconds";
/// Documents; counter; `outcome` (`written`, `unchanged`, `refused`, `failed`). Alert on refused
/// and failed ones: they become dead letters.
const DOCUMENTS: &str = "millrace_feedback_documents_total";
/// Items that another item with the same natural id replaced within their batch; counter.
const REPLACED: &str = "millrace_feedback_items_replaced_total";
/// Events `feedback.created`; counter; `outcome` (`published`, `repeated`).
const EVENTS: &str = "millrace_feedback_created_total";
/// Dead letters of items that had been accepted; counter; `reason`. Alert on any.
const LETTERS: &str = "millrace_feedback_late_letters_total";

pub(crate) fn added(stage: &'static str, items: usize) {
    counter!(ADDED, "stage" => stage).increment(number(items));
}

pub(crate) fn waiting(overview: &BatchesOverview) {
    let ages = overview.batches.iter().map(|batch| batch.age);
    let oldest = ages.max().unwrap_or_default();
    gauge!(WAITING).set(float(overview.total_items));
    gauge!(BATCHES).set(float(overview.total_batches));
    gauge!(OLDEST).set(oldest.as_secs_f64());
}

pub(crate) fn flushed(outcome: &'static str, took: Duration) {
    counter!(FLUSHES, "outcome" => outcome).increment(1);
    histogram!(SECONDS).record(took.as_secs_f64());
}

pub(crate) fn released(reason: &'static str) {
    counter!(RELEASED, "reason" => reason).increment(1);
}

pub(crate) fn document(outcome: &'static str) {
    counter!(DOCUMENTS, "outcome" => outcome).increment(1);
}

pub(crate) fn replaced(items: usize) {
    counter!(REPLACED).increment(number(items));
}

pub(crate) fn events(published: usize, all: usize) {
    counter!(EVENTS, "outcome" => "published").increment(number(published));
    counter!(EVENTS, "outcome" => "repeated").increment(number(all.saturating_sub(published)));
}

pub(crate) fn letters(reason: &'static str, count: u64) {
    counter!(LETTERS, "reason" => reason).increment(count);
}

fn number(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}

fn float(count: u64) -> f64 {
    f64::from(u32::try_from(count).unwrap_or(u32::MAX))
}
