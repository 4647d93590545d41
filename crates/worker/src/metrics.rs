//! The metrics of the runtime.

use metrics::{counter, histogram};

/// Seconds that a processor took for a batch; histogram; `stage`.
pub const PROCESS_SECONDS: &str = "millrace_stage_process_seconds";
/// Batches that failed and were taken apart; counter; `stage`. Alert when it keeps rising.
pub const BISECTED: &str = "millrace_stage_bisected_total";
/// Times that a dependency was found down, after each of which the stage waits; counter; `stage`.
/// Alert when it keeps rising.
pub const WAITED: &str = "millrace_stage_dependency_waits_total";
/// Messages that could not be decoded; counter; `stage`. Alert on any.
pub const UNDECODABLE: &str = "millrace_stage_undecodable_total";

pub(crate) fn processed(stage: &'static str, elapsed: std::time::Duration) {
    histogram!(PROCESS_SECONDS, "stage" => stage).record(elapsed.as_secs_f64());
}

pub(crate) fn count(name: &'static str, stage: &'static str, by: usize) {
    if by > 0 {
        counter!(name, "stage" => stage).increment(u64::try_from(by).unwrap_or(u64::MAX));
    }
}
