//! `millrace load`: traffic as a shop makes it, and how Millrace stands it.

mod due_times;
mod latency;
mod number_set;
mod people;
mod popularity;
mod report;
mod run_ids;
mod schedule;
mod sending;
mod sessions;
mod tally;
mod traffic;
mod watch;

use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use bus::BusSettings;
use common::limits::EVENTS_MAX;
use tokio::time::{MissedTickBehavior, interval, timeout};
use worker::ConfigError;

use crate::live_line::LiveLine;
use crate::output::{Output, grouped, note};
use crate::send::poster::Poster;
use crate::service::Service;
use crate::signals::Signals;
use crate::{duration, http};
use people::People;
use report::{Report, Setup};
use run_ids::Run;
use schedule::{Plan, Schedule};
use sending::Sending;
use traffic::{Mix, Traffic};
use watch::Watch;

/// How much is sent when nobody says how much.
const EVENTS: u64 = 100_000;
const DURATION: Duration = Duration::from_mins(1);
/// The most that can be asked for; the memory for every number of an event is bounded by it.
const EVENTS_LIMIT: u64 = 100_000_000;
const DURATION_LIMIT: Duration = Duration::from_hours(24);
/// How often the live line changes.
const TICK: Duration = Duration::from_millis(200);
/// How long requests under way may take after a signal.
const GRACE: Duration = Duration::from_secs(5);
const TEMPLATE: &str = "{bar:30} {percent} %, {wide_msg}";
const MILLION: f64 = 1_000_000.0;

/// Send made-up events to the service and measure how it takes them
///
/// The traffic is that of shops: sessions of page views, carts and purchases, WhatsApp messages,
/// some people and products much more popular than others. Latencies count from when an event was
/// due, so a service that falls behind is not flattered. The end of an event is seen on the bus:
/// it is finished when its features are in SQL.
#[derive(Debug, clap::Args)]
pub(crate) struct Load {
    #[command(flatten)]
    service: Service,
    /// Events per second; without it, as many as are accepted
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    rate: Option<u32>,
    /// Events at most; 100000 when neither this nor --duration is given
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..=EVENTS_LIMIT))]
    events: Option<u64>,
    /// How long to send at most; 60s when neither this nor --events is given
    #[arg(long, value_parser = parse_duration)]
    duration: Option<Duration>,
    /// Events in a request at most; at a low rate there are fewer, so that none waits long
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u16).range(1..=i64::from(EVENTS_MAX)))]
    batch: u16,
    /// Requests at a time
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u16).range(1..=256))]
    connections: u16,
    /// The share of events that are sent again, from 0 to 1
    #[arg(long, default_value = "0.01", value_parser = parse_share)]
    duplicates: u32,
    /// Brands whose people come; they are called load-1, load-2, …
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..=10_000))]
    brands: u64,
    /// People of each brand
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u64).range(1..=100_000_000))]
    people: u64,
    /// Makes the same traffic as an earlier run with this seed; ids of events and orders are new
    #[arg(long)]
    seed: Option<u64>,
    /// Do not watch on the bus what becomes of the events
    #[arg(long)]
    no_end_to_end: bool,
    /// How long accepted events may take to be finished after the last answer
    #[arg(long, default_value = "60s", value_parser = duration::parse)]
    settle_timeout: Duration,
    /// How long to go on trying when the service does not answer
    #[arg(long, default_value = "30s", value_parser = duration::parse)]
    give_up_after: Duration,
    /// Send to another machine than this one; everything sent there counts
    #[arg(long)]
    allow_remote: bool,
    /// Print the report as one JSON object
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    bus: BusSettings,
}

/// Why a run ended.
enum End {
    /// All was sent and watched.
    Complete,
    /// Nobody wanted to wait until all was seen to its end.
    Interrupted,
    Failed(anyhow::Error),
}

impl From<anyhow::Result<()>> for End {
    fn from(result: anyhow::Result<()>) -> Self {
        result.map_or_else(Self::Failed, |()| Self::Complete)
    }
}

impl Load {
    pub(crate) async fn run(self) -> anyhow::Result<ExitCode> {
        self.check()?;
        let mut signals = Signals::catch().context("catching signals")?;
        let run = Run::new();
        let setup = self.setup();
        let poster = Poster::new(&self.service, self.give_up_after)?;
        let mut watch = if self.no_end_to_end {
            None
        } else {
            Some(Watch::begin(self.bus.open()?, run).await?)
        };
        let plan = self.plan();
        let schedule = Schedule::new(plan, Instant::now());
        let sending = Sending::new(poster, schedule, Traffic::new(run, self.mix(setup.seed)));
        let end = Box::pin(self.drive(&sending, watch.as_mut(), &mut signals)).await;
        let report = Report::of(run, setup, &sending, watch.as_ref());
        if self.json {
            Output::stdout().json(&report)?;
        } else {
            report.print()?;
        }
        match end {
            End::Complete if report.is_good() => Ok(ExitCode::SUCCESS),
            End::Complete => Ok(ExitCode::FAILURE),
            End::Interrupted => {
                note("millrace: stopped before the end of every event was seen");
                Ok(ExitCode::FAILURE)
            }
            End::Failed(error) => Err(error),
        }
    }

    /// Refuses what would hit a service by accident.
    fn check(&self) -> Result<(), ConfigError> {
        let url = &self.service.url;
        if self.allow_remote || http::is_loopback(url) {
            return Ok(());
        }
        Err(ConfigError(format!(
            "INGESTION_URL (--url): {url} is not this machine, and made-up events count there like \
             real ones; --allow-remote sends them all the same"
        )))
    }

    fn setup(&self) -> Setup {
        Setup {
            // Short, so that it can be typed.
            seed: self.seed.unwrap_or_else(|| fastrand::u64(0..1_000_000)),
            rate: self.rate,
            batch: self.batch,
            connections: self.connections,
        }
    }

    fn plan(&self) -> Plan {
        let (events, duration) = match (self.events, self.duration) {
            (None, None) => (EVENTS, DURATION),
            (events, duration) => (
                events.unwrap_or(EVENTS_LIMIT),
                duration.unwrap_or(DURATION_LIMIT),
            ),
        };
        Plan {
            rate: self.rate,
            batch: self.batch,
            events,
            duration,
        }
    }

    fn mix(&self, seed: u64) -> Mix {
        let people = People {
            brands: self.brands,
            people: self.people,
        };
        Mix {
            people,
            seed,
            duplicates_ppm: self.duplicates,
        }
    }

    /// Sends and watches side by side. The first signal ends the sending, a second the watching.
    async fn drive(
        &self,
        sending: &Sending,
        watch: Option<&mut Watch>,
        signals: &mut Signals,
    ) -> End {
        let mut line = LiveLine::new(Some(100), 0, TEMPLATE);
        let mut tick = interval(TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let watching = async {
            match watch {
                Some(watch) => watch.until_finished(sending, self.settle_timeout).await,
                None => std::future::pending().await,
            }
        };
        let sent = timeout_after_stop(sending, self.connections);
        tokio::pin!(watching, sent);
        let (mut ended, mut is_stopped) = (None, false);
        let end = loop {
            tokio::select! {
                result = &mut sent, if ended.is_none() => {
                    if self.no_end_to_end {
                        break result.into();
                    }
                    // What was accepted before a failure is followed to its end all the same.
                    ended = Some(result);
                }
                result = &mut watching => break ended.unwrap_or(Ok(())).and(result).into(),
                signal = signals.next() => {
                    if is_stopped {
                        break End::Interrupted;
                    }
                    is_stopped = true;
                    sending.stop();
                    line.above(|| note(&format!(
                        "{signal}: waiting until what was sent is finished; again to end at once"
                    )));
                }
                _ = tick.tick() => show(&mut line, sending),
            }
        };
        line.end();
        end
    }
}

/// Sends all. After the order to stop, requests under way have a grace.
async fn timeout_after_stop(sending: &Sending, connections: u16) -> anyhow::Result<()> {
    let all = sending.run(connections);
    tokio::pin!(all);
    tokio::select! {
        result = &mut all => return result,
        () = sending.stopped() => {}
    }
    let Ok(result) = timeout(GRACE, all).await else {
        sending.end();
        return Ok(());
    };
    result
}

fn show(line: &mut LiveLine, sending: &Sending) {
    let (retried, trouble) = sending.trouble();
    let state = sending.state();
    let tally = &state.tally;
    line.update(state.schedule.percent(Instant::now()), || {
        let answers = tally.answers.percentiles();
        let latency = answers.map(|it| format!(", HTTP p50 {:.1} p99 {:.1} ms", it.p50, it.p99));
        let ending = match (state.over, trouble) {
            (Some(_), _) => format!("; waiting, {} finished", grouped(state.ended)),
            (None, Some(why)) => format!("; waiting: {why}"),
            (None, None) => String::new(),
        };
        format!(
            "{} events, {}/s, {} accepted, {} duplicate, {} rejected, {retried} retried{}{ending}",
            grouped(tally.sent),
            grouped(tally.rate()),
            grouped(tally.counts.accepted),
            grouped(tally.counts.duplicate),
            grouped(tally.counts.rejected),
            latency.unwrap_or_default()
        )
    });
}

fn parse_duration(text: &str) -> Result<Duration, String> {
    let duration = duration::parse(text)?;
    if duration.is_zero() || duration > DURATION_LIMIT {
        return Err("allowed are durations up to 24h".to_owned());
    }
    Ok(duration)
}

/// A share, in millionths.
fn parse_share(text: &str) -> Result<u32, String> {
    let share: f64 = text
        .parse()
        .map_err(|_| "allowed is a number from 0 to 1")?;
    if !(0.0..=1.0).contains(&share) {
        return Err("allowed is a number from 0 to 1".to_owned());
    }
    let millionths = format!("{:.0}", share * MILLION);
    millionths
        .parse()
        .map_err(|_| "allowed is a number from 0 to 1".to_owned())
}
