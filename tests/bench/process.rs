//! What the kernel says of processes.

use std::time::Duration;

use anyhow::{Context as _, Result};

/// Clock ticks in a second, as Linux shows them to programs on every architecture.
const TICKS_PER_SECOND: u32 = 100;

/// User and system time of processes, their threads included.
pub(crate) fn cpu_time(pids: &[u32]) -> Result<Duration> {
    pids.iter().map(|&pid| cpu_time_of(pid)).sum()
}

fn cpu_time_of(pid: u32) -> Result<Duration> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"))
        .with_context(|| format!("reading the times of process {pid}"))?;
    // The name, in parentheses, may hold spaces; the times are the 14th and the 15th field.
    let after_name = stat.rsplit_once(") ").map_or("", |(_, rest)| rest);
    let mut times = after_name.split(' ').skip(11).map(str::parse::<u32>);
    let mut next = || times.next().context("no times")?.context("no number");
    let ticks = next()? + next()?;
    Ok(Duration::from_secs(1) * ticks / TICKS_PER_SECOND)
}

/// A line of `/proc/<pid>/status` in KiB: `VmRSS` is what is resident now, `VmHWM` the most ever.
pub(crate) fn memory_kib(pid: u32, line: &str) -> Result<u32> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))
        .with_context(|| format!("reading the memory of process {pid}"))?;
    let value = status
        .lines()
        .find_map(|text| text.strip_prefix(line)?.strip_prefix(':'));
    let value = value.context("no such line")?.trim();
    value
        .trim_end_matches(" kB")
        .parse()
        .context("reading a size")
}
