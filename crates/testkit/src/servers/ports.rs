//! Loopback ports that nobody uses.

use std::net::{Ipv4Addr, TcpListener};
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::{Context as _, Result};

/// Below the range that Linux takes outgoing ports from: a client cannot be given one of these
/// between the moment it is found free and the moment that a server binds it.
const PORT_MIN: u16 = 12_000;
const PORT_COUNT: u32 = 18_000;
/// How far apart two test processes with neighbouring ids start.
const PORTS_PER_PROCESS: u32 = 97;

/// A port that was free on the loopback a moment ago and is given once in this process.
pub fn free_port() -> Result<u16> {
    static GIVEN: AtomicU32 = AtomicU32::new(0);
    let first = std::process::id().wrapping_mul(PORTS_PER_PROCESS);
    (0..PORT_COUNT)
        .map(|_| first.wrapping_add(GIVEN.fetch_add(1, Ordering::Relaxed)) % PORT_COUNT)
        .filter_map(|offset| u16::try_from(offset).ok())
        .map(|offset| PORT_MIN + offset)
        .find(|&port| TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok())
        .context("no port is free on the loopback")
}

/// `127.0.0.1:<free port>`.
pub fn free_address() -> Result<String> {
    Ok(format!("127.0.0.1:{}", free_port()?))
}
