//! Networks between the workers and their servers that are late, slow, cut or half-open.

use std::num::NonZeroU64;
use std::time::Duration;

use anyhow::ensure;
use testkit::servers::{FaultProxy, ProxyMode};

use super::Fault;
use crate::round::{Round, last};

const RESETS: u32 = 10;
const RESET_INTERVAL: Duration = Duration::from_millis(250);

/// Before which server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Before {
    Redis,
    Sql,
}

impl Before {
    fn name(self) -> &'static str {
        match self {
            Self::Redis => "redis",
            Self::Sql => "postgres",
        }
    }

    fn proxies<'a>(self, round: &'a Round<'_>) -> Vec<&'a FaultProxy> {
        match self {
            Self::Redis => round.mill.redis_proxies(),
            Self::Sql => round.mill.sql_proxy.iter().collect(),
        }
    }

    fn set(self, round: &Round<'_>, mode: ProxyMode) {
        for proxy in self.proxies(round) {
            proxy.set(mode);
        }
    }

    fn reset(self, round: &Round<'_>) {
        for proxy in self.proxies(round) {
            proxy.reset();
        }
    }

    fn replies_lost(self, round: &Round<'_>) -> u64 {
        let proxies = self.proxies(round).into_iter();
        proxies.map(FaultProxy::replies_lost).sum()
    }
}

/// What is lost must be seldom enough that a connection can be set up and a transaction made.
fn lose_replies(before: Before) -> ProxyMode {
    let others = match before {
        Before::Redis => 10,
        Before::Sql => 60,
    };
    let every = NonZeroU64::MIN.saturating_add(others);
    ProxyMode::LoseReplies { every }
}

pub(super) fn before_redis() -> Vec<Fault> {
    let before = Before::Redis;
    vec![
        reset(before).small_on_postgres(),
        refuse(before).small_on_sqlite(),
        mode(before, "half-open", ProxyMode::HalfOpen).small_on_sqlite(),
        mode(before, "late", ProxyMode::Delay(Duration::from_millis(150))).small_on_sqlite(),
        mode(before, "slow", slow()).small_on_postgres(),
        lossy(before).small_on_sqlite(),
    ]
}

pub(super) fn before_sql() -> Vec<Fault> {
    let before = Before::Sql;
    vec![
        reset(before).small_on_postgres(),
        refuse(before),
        // A call that was on its way is given up after a minute.
        mode(before, "half-open", ProxyMode::HalfOpen).alone(),
        mode(before, "late", ProxyMode::Delay(Duration::from_millis(50))),
        mode(before, "slow", slow()),
        lossy(before).small_on_postgres(),
    ]
}

fn slow() -> ProxyMode {
    ProxyMode::Drip {
        bytes_per_second: 30_000,
    }
}

/// The network is in a mode for a while.
fn mode(before: Before, word: &str, mode: ProxyMode) -> Fault {
    let name = format!("network before {}: {word}", before.name());
    Fault::new(name, move |round| {
        round.send_part(20)?;
        before.set(round, mode);
        last(round.scale.outage());
        before.set(round, ProxyMode::Pass);
        Ok(())
    })
}

fn reset(before: Before) -> Fault {
    let name = format!("network before {}: reset again and again", before.name());
    Fault::new(name, move |round| {
        round.send_part(20)?;
        for _ in 0..RESETS {
            before.reset(round);
            last(RESET_INTERVAL);
        }
        Ok(())
    })
}

fn refuse(before: Before) -> Fault {
    let name = format!("network before {}: reset and refused", before.name());
    Fault::new(name, move |round| {
        round.send_part(20)?;
        before.set(round, ProxyMode::Refuse);
        before.reset(round);
        last(round.scale.outage());
        before.set(round, ProxyMode::Pass);
        Ok(())
    })
}

fn lossy(before: Before) -> Fault {
    let name = format!("network before {}: replies lost", before.name());
    Fault::new(name, move |round| {
        round.send_part(20)?;
        let lost = before.replies_lost(round);
        before.set(round, lose_replies(before));
        last(round.scale.outage());
        before.set(round, ProxyMode::Pass);
        ensure!(before.replies_lost(round) > lost, "no reply was lost");
        Ok(())
    })
}
