//! From start to end of a process.

use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use axum::Router;
use bus::{Bus, NotOpened, SubscribeOptions};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::failure::{ConfigError, explain, unavailable};
use crate::health::Health;
use crate::parsing::{EXIT_USAGE, parse, say};
use crate::processor::Processor;
use crate::settings::{WorkerConfig, WorkerSettings};
use crate::signals::Signals;
use crate::stage::Stage;
use crate::waiting::Backoff;
use crate::{ops, telemetry};

/// How long one run of a repeated task may take.
const RUN_LONGEST: Duration = Duration::from_mins(1);

/// A running worker.
#[derive(Debug)]
pub struct Worker {
    health: Health,
    stop: CancellationToken,
    tasks: JoinSet<(&'static str, anyhow::Result<()>)>,
    grace: Duration,
    fail_fast: bool,
}

/// The whole of a worker's `main`: reads the settings, starts, runs until a signal or a failure.
/// Exit code 0 after a signal, 64 for settings that cannot be used, 1 for any other failure.
pub fn main<C>(
    name: &'static str,
    start: impl AsyncFnOnce(C, &mut Worker) -> anyhow::Result<()>,
) -> ExitCode
where
    C: WorkerConfig,
{
    let config = match parse::<C>() {
        Ok(config) => config,
        Err(code) => return code,
    };
    if let Err(error) = config.check() {
        say(&format!("{name}: {error}"));
        return ExitCode::from(EXIT_USAGE);
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let result = runtime.context("starting the runtime").and_then(|runtime| {
        let result = runtime.block_on(live(name, config, start));
        // Blocking tasks that still run must not hold up the exit.
        runtime.shutdown_background();
        result
    });
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say(&format!("{name}: {}", explain(&error)));
            let usage = error.is::<ConfigError>() || error.is::<NotOpened>();
            ExitCode::from(if usage { EXIT_USAGE } else { 1 })
        }
    }
}

async fn live<C: WorkerConfig>(
    name: &'static str,
    config: C,
    start: impl AsyncFnOnce(C, &mut Worker) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let settings = config.worker().clone();
    let mut signals = Signals::catch().context("catching signals")?;
    let mut worker = Worker::new(name, &settings).await?;
    worker.health.waiting("start", "starting");
    let started = tokio::select! {
        started = start(config, &mut worker) => Some(started),
        signal = signals.next() => {
            tracing::info!(signal, "stopping before the start was complete");
            None
        }
    };
    let Some(started) = started else {
        worker.finish(signals).await;
        return Ok(());
    };
    started?;
    worker.health.ready("start");
    tracing::info!("{name} is ready");
    worker.run(signals).await
}

impl Worker {
    async fn new(name: &'static str, settings: &WorkerSettings) -> anyhow::Result<Self> {
        let metrics = telemetry::start(settings)?;
        #[cfg(feature = "armed")]
        if let Some(arming) = &settings.crash_at {
            tracing::warn!("armed to crash at {arming}");
            crash_points::arm(arming.clone());
        }
        let mut worker = Self {
            health: Health::default(),
            stop: CancellationToken::new(),
            tasks: JoinSet::new(),
            grace: settings.grace(),
            fail_fast: settings.fail_fast,
        };
        let router = ops::router(name, worker.health.clone(), metrics);
        let address = worker.serve("ops", settings.ops_address, router).await?;
        tracing::info!(%address, "serving /live, /ready and /metrics");
        Ok(worker)
    }

    /// Is cancelled when the worker is to stop.
    pub fn stop_token(&self) -> CancellationToken {
        self.stop.clone()
    }

    /// What the worker says of its readiness.
    pub fn health(&self) -> Health {
        self.health.clone()
    }

    /// Runs a named task. It must end when [`Worker::stop_token`] is cancelled; if it fails, the
    /// worker stops.
    pub fn task(
        &mut self,
        name: &'static str,
        task: impl Future<Output = anyhow::Result<()>> + Send + 'static,
    ) {
        self.tasks.spawn(async move { (name, task.await) });
    }

    /// Runs a task at an interval until the worker stops. A failure is logged and the task is run
    /// again at its next time; so is a run that takes more than a minute, which is dropped.
    pub fn every<F: Future<Output = anyhow::Result<()>> + Send>(
        &mut self,
        name: &'static str,
        interval: Duration,
        task: impl Fn() -> F + Send + 'static,
    ) {
        let stop = self.stop.clone();
        self.task(name, async move {
            repeat(name, (interval, RUN_LONGEST), stop, task).await;
            Ok(())
        });
    }

    /// Consumes a topic with a processor.
    pub fn stage<P: Processor>(&mut self, bus: &Bus, options: SubscribeOptions, processor: P) {
        let (health, stop) = (self.health(), self.stop_token());
        let stage = Stage::new(bus, options, processor, health, stop);
        self.task(P::STAGE, async move {
            stage.run().await;
            Ok(())
        });
    }

    /// Serves HTTP until the worker stops; gives the address, which may have a port of its own.
    pub async fn serve(
        &mut self,
        name: &'static str,
        address: SocketAddr,
        router: Router,
    ) -> anyhow::Result<SocketAddr> {
        let listener = TcpListener::bind(address)
            .await
            .with_context(|| format!("listening on {address} for {name}"))?;
        let address = listener.local_addr()?;
        let stop = self.stop.clone();
        let server = axum::serve(listener, router.into_make_service())
            .with_graceful_shutdown(async move { stop.cancelled().await });
        self.task(name, async move { server.await.context("serving HTTP") });
        Ok(address)
    }

    /// Calls until it succeeds, as long as a dependency is down; other failures are final, and so is
    /// that of a task that was started before.
    pub async fn wait_for<T>(
        &mut self,
        what: &'static str,
        call: impl AsyncFn() -> anyhow::Result<T>,
    ) -> anyhow::Result<T> {
        let mut backoff = Backoff::default();
        loop {
            let error = match call().await {
                Ok(value) => {
                    self.health.ready(what);
                    return Ok(value);
                }
                Err(error) => error,
            };
            if unavailable(&error).is_none() || self.fail_fast {
                return Err(error);
            }
            let why = explain(&error);
            tracing::warn!("waiting for {what}: {why}");
            self.health.waiting(what, why);
            tokio::select! {
                () = tokio::time::sleep(backoff.advance()) => {}
                Err(failure) = next_failure(&mut self.tasks) => return Err(failure),
            }
        }
    }

    async fn run(mut self, mut signals: Signals) -> anyhow::Result<()> {
        let first_failure = tokio::select! {
            signal = signals.next() => {
                tracing::info!(signal, "stopping: finishing what is in hand");
                Ok(())
            }
            failure = next_failure(&mut self.tasks) => failure,
        };
        self.finish(signals).await;
        first_failure
    }

    /// Has the tasks finish what they have in hand, within the grace.
    async fn finish(mut self, mut signals: Signals) {
        self.stop.cancel();
        let drained = tokio::select! {
            drained = tokio::time::timeout(self.grace, drain(&mut self.tasks)) => drained,
            signal = signals.next() => {
                tracing::warn!(signal, "a second signal: exiting at once");
                return;
            }
        };
        if drained.is_ok() {
            tracing::info!("stopped");
        } else {
            tracing::warn!("the grace ran out; what is unfinished comes again");
        }
    }
}

/// Runs a task again and again until it is to stop. A run that takes too long waits for a server
/// that vanished without a word, and would wait for ever.
async fn repeat<F: Future<Output = anyhow::Result<()>>>(
    name: &'static str,
    (interval, longest): (Duration, Duration),
    stop: CancellationToken,
    task: impl Fn() -> F,
) {
    loop {
        match tokio::time::timeout(longest, task()).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => {
                tracing::warn!(task = name, error = explain(&error), "task failed");
            }
            Err(_) => tracing::warn!(task = name, "no end within {longest:?}; it is run again"),
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(interval) => {}
        }
    }
}

/// Waits until a task fails or all have ended.
async fn next_failure(
    tasks: &mut JoinSet<(&'static str, anyhow::Result<()>)>,
) -> anyhow::Result<()> {
    while let Some(ended) = tasks.join_next().await {
        let (name, result) = ended.context("a task panicked")?;
        result.with_context(|| format!("in task {name}"))?;
    }
    Ok(())
}

async fn drain(tasks: &mut JoinSet<(&'static str, anyhow::Result<()>)>) {
    while let Some(ended) = tasks.join_next().await {
        match ended {
            Ok((_, Ok(()))) => {}
            Ok((task, Err(error))) => tracing::warn!(task, error = explain(&error), "ended"),
            Err(error) => tracing::error!(%error, "a task panicked"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    #[tokio::test]
    async fn a_task_that_fails_while_a_dependency_is_waited_for_ends_the_start() {
        let mut worker = Worker {
            health: Health::default(),
            stop: CancellationToken::new(),
            tasks: JoinSet::new(),
            grace: Duration::ZERO,
            fail_fast: false,
        };
        worker.task("broken", async { anyhow::bail!("no more") });
        let down = async || -> anyhow::Result<()> {
            Err(common::Unavailable::new("sql", "still down").into())
        };
        let error = worker.wait_for("sql", down).await.expect_err("it ends");
        assert_eq!(explain(&error), "in task broken: no more");
    }

    #[tokio::test]
    async fn a_run_that_never_ends_is_dropped_and_the_task_run_again() {
        let stop = CancellationToken::new();
        let runs = AtomicU32::new(0);
        let task = || {
            let run = runs.fetch_add(1, Ordering::Relaxed);
            let stop = stop.clone();
            async move {
                if run < 2 {
                    std::future::pending::<()>().await;
                }
                stop.cancel();
                Ok(())
            }
        };
        let short = Duration::from_millis(5);
        repeat("a task", (short, short), stop.clone(), task).await;
        assert_eq!(runs.load(Ordering::Relaxed), 3);
    }
}
