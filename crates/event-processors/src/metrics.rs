//! The metrics of the event processors.

use metrics::{counter, gauge};

/// Events that count now; counter.
const COUNTED: &str = "millrace_events_counted_total";
/// Events that came again and changed nothing; counter.
const REPEATS: &str = "millrace_events_repeated_total";
/// Purchases whose order had been counted; counter. Alert when it keeps rising: a sender repeats
/// orders under new event ids.
const REPEATED_ORDERS: &str = "millrace_orders_repeated_total";
/// Requests for predictions; counter.
const PREDICTIONS: &str = "millrace_prediction_requests_total";
/// Messages that wait in the outbox, up to the relay's page; gauge. Alert when it stays high.
const OUTBOX: &str = "millrace_outbox_messages";

pub(crate) fn applied(applied: &stores::Applied) {
    for (name, count) in [
        (COUNTED, applied.counted),
        (REPEATS, applied.repeats),
        (REPEATED_ORDERS, applied.repeated_orders.len()),
        (PREDICTIONS, applied.requested.len()),
    ] {
        counter!(name).increment(u64::try_from(count).unwrap_or(0));
    }
}

pub(crate) fn outbox(messages: usize) {
    gauge!(OUTBOX).set(f64::from(u32::try_from(messages).unwrap_or(u32::MAX)));
}
