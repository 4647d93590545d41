//! Samples, and two contenders measured in turn.

use std::time::{Duration, Instant};

use anyhow::Result;

use crate::process::cpu_time;

/// One run of one contender.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sample {
    /// Messages per second.
    pub(crate) rate: f64,
    /// CPU seconds per million messages of the program under test.
    pub(crate) program_cpu: f64,
    /// CPU seconds per million messages of the servers behind it.
    pub(crate) server_cpu: f64,
}

/// Measures from its start to [`Meter::stop`].
#[derive(Debug)]
pub(crate) struct Meter {
    started: Instant,
    programs: Vec<u32>,
    servers: Vec<u32>,
    before: (Duration, Duration),
}

impl Meter {
    pub(crate) fn start(programs: &[u32], servers: &[u32]) -> Result<Self> {
        Ok(Self {
            before: (cpu_time(programs)?, cpu_time(servers)?),
            programs: programs.to_vec(),
            servers: servers.to_vec(),
            started: Instant::now(),
        })
    }

    pub(crate) fn stop(self, messages: u32) -> Result<Sample> {
        let seconds = self.started.elapsed().as_secs_f64();
        let messages = f64::from(messages);
        let per_million = |after: Duration, before: Duration| {
            after.saturating_sub(before).as_secs_f64() / messages * 1e6
        };
        Ok(Sample {
            rate: messages / seconds,
            program_cpu: per_million(cpu_time(&self.programs)?, self.before.0),
            server_cpu: per_million(cpu_time(&self.servers)?, self.before.1),
        })
    }
}

/// The median, the smallest and the largest of some figures.
#[derive(Debug, Clone, Copy, serde::Serialize)]
pub(crate) struct Spread {
    pub(crate) median: f64,
    pub(crate) min: f64,
    pub(crate) max: f64,
}

impl Spread {
    pub(crate) fn of(figures: impl IntoIterator<Item = f64>) -> Self {
        let mut all: Vec<f64> = figures.into_iter().collect();
        all.sort_by(f64::total_cmp);
        let at = |index: usize| all.get(index).copied().unwrap_or(f64::NAN);
        Self {
            median: f64::midpoint(at(all.len().saturating_sub(1) / 2), at(all.len() / 2)),
            min: at(0),
            max: at(all.len().saturating_sub(1)),
        }
    }
}

/// The samples of two contenders, taken in turn so that a change of the machine meets both.
#[derive(Debug, Default)]
pub(crate) struct Turns {
    pub(crate) limit: Vec<Sample>,
    pub(crate) ours: Vec<Sample>,
}

impl Turns {
    /// Runs each contender so often, after one run of each that is not counted.
    pub(crate) async fn take(
        repetitions: usize,
        limit: impl AsyncFn() -> Result<Sample>,
        ours: impl AsyncFn() -> Result<Sample>,
    ) -> Result<Self> {
        limit().await?;
        ours().await?;
        let mut turns = Self::default();
        for number in 0..repetitions {
            if number % 2 == 0 {
                turns.limit.push(limit().await?);
                turns.ours.push(ours().await?);
            } else {
                turns.ours.push(ours().await?);
                turns.limit.push(limit().await?);
            }
        }
        Ok(turns)
    }

    /// Ours divided by the limit, turn by turn.
    pub(crate) fn ratio(&self) -> Spread {
        let pairs = self.ours.iter().zip(&self.limit);
        Spread::of(pairs.map(|(ours, limit)| ours.rate / limit.rate))
    }
}
