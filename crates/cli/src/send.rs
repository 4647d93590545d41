//! `millrace send`: events from a file or stdin to the service.
//!
//! Sending again is harmless: every event has an id, its own or one that follows from its line, and
//! the service takes an id once. So whatever is not known to be answered is sent again.

mod answers;
pub(crate) mod batches;
pub(crate) mod event;
mod input;
pub(crate) mod order;
pub(crate) mod poster;
mod progress;
mod rejects;
mod resume;
mod sending;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use serde::Serialize;

use crate::duration;
use crate::output::{Output, grouped, note};
use crate::service::Service;
use common::limits::EVENTS_MAX;
use input::Input;
use poster::Poster;
use progress::ProgressBar;
use rejects::Rejects;
use resume::Progress;
use sending::{Interrupted, Sending};

/// Send events from a file or stdin, one JSON object on each line
///
/// An event without an `event_id` gets one that follows from its line and the line's number, so
/// sending the same file again gives duplicates, which do not count, and not the same events twice.
#[derive(Debug, clap::Args)]
pub(crate) struct SendEvents {
    /// The file; - is stdin
    #[arg(default_value = "-")]
    file: PathBuf,
    #[command(flatten)]
    service: Service,
    /// Events in a request at most
    #[arg(long, default_value_t = EVENTS_MAX, value_parser = clap::value_parser!(u16).range(1..=i64::from(EVENTS_MAX)))]
    batch: u16,
    /// Requests at a time
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u16).range(1..=64))]
    concurrency: u16,
    /// How long to go on trying when the service does not answer
    #[arg(long, default_value = "300s", value_parser = duration::parse)]
    give_up_after: Duration,
    /// Continue where an earlier run of the same file stopped
    #[arg(long)]
    resume: bool,
    /// How many rejected events are shown
    #[arg(long, default_value_t = 20)]
    show_rejects: u64,
    /// A file for all rejected events
    #[arg(long, value_name = "FILE")]
    rejects: Option<PathBuf>,
    /// End with 1 if any event was rejected
    #[arg(long)]
    strict: bool,
    /// Print the summary as JSON
    #[arg(long)]
    json: bool,
}

/// The last line of `--json`.
#[derive(Debug, Serialize)]
struct Summary {
    sent: u64,
    accepted: u64,
    duplicate: u64,
    rejected: u64,
    rejected_locally: u64,
    seconds: f64,
    events_per_second: u64,
}

impl SendEvents {
    pub(crate) async fn run(self) -> anyhow::Result<ExitCode> {
        let poster = Poster::new(&self.service, self.give_up_after)?;
        let input = Input::open(&self.file, self.resume)?;
        let before = input.before;
        let is_resumable = input.resume.is_some();
        let bar = ProgressBar::new(input.length, &before);
        let is_continued = before != Progress::default();
        let rejects = Rejects::new(self.show_rejects, self.rejects.as_deref(), is_continued)?;
        let mut sending = Sending::new(
            input,
            poster,
            (bar, rejects),
            (self.batch, self.concurrency),
        );
        let result = Box::pin(sending.run()).await;
        self.print_summary(&sending)?;
        if let Err(error) = result {
            let interrupted = error.is::<Interrupted>();
            let error = if is_resumable {
                error.context("not everything was sent; run it again with --resume to continue")
            } else {
                error.context("not everything was sent; sending it again does no harm")
            };
            if interrupted {
                note(&format!("millrace: {error:#}"));
                return Ok(ExitCode::FAILURE);
            }
            return Err(error);
        }
        let strictly_failed = self.strict && sending.progress.counts.all_rejected() > 0;
        Ok(if strictly_failed {
            ExitCode::FAILURE
        } else {
            ExitCode::SUCCESS
        })
    }

    fn print_summary(&self, sending: &Sending) -> std::io::Result<()> {
        let counts = sending.progress.counts;
        let (seconds, rate) = (
            sending.bar.elapsed().as_secs_f64(),
            sending.bar.rate(&sending.progress),
        );
        let hidden = sending.rejects.hidden();
        if hidden > 0 {
            let hint = if self.rejects.is_none() {
                "; --rejects FILE writes all"
            } else {
                ""
            };
            note(&format!(
                "{} more rejected events are not shown{hint}",
                grouped(hidden)
            ));
        }
        if self.json {
            return Output::stdout().json(&Summary {
                sent: counts.sent(),
                accepted: counts.accepted,
                duplicate: counts.duplicate,
                rejected: counts.all_rejected(),
                rejected_locally: counts.rejected_locally,
                seconds: (seconds * 1_000.0).round() / 1_000.0,
                events_per_second: rate,
            });
        }
        let locally = match counts.rejected_locally {
            0 => String::new(),
            number => format!(" ({} of them not sent)", grouped(number)),
        };
        Output::stdout().line(&format!(
            "sent {}: {} accepted, {} duplicate, {} rejected{locally}; {seconds:.1} s, {} events/s",
            grouped(counts.sent()),
            grouped(counts.accepted),
            grouped(counts.duplicate),
            grouped(counts.all_rejected()),
            grouped(rate)
        ))
    }
}
