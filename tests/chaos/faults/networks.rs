//! Networks between the workers and their servers that are late, slow, cut or half-open.

use std::num::NonZeroU64;
use std::time::Duration;

use testkit::servers::{FaultProxy, ProxyMode, eventually};

use super::Fault;
use crate::mill::{Before, Mill};
use crate::round::{Round, last};

const SOON: Duration = Duration::from_mins(1);
const RESETS: u32 = 10;
const RESET_INTERVAL: Duration = Duration::from_millis(250);

fn set<M: Mill>(round: &Round<'_, M>, before: Before, mode: ProxyMode) {
    for proxy in round.mill.proxies(before) {
        proxy.set(mode);
    }
}

fn reset_all<M: Mill>(round: &Round<'_, M>, before: Before) {
    for proxy in round.mill.proxies(before) {
        proxy.reset();
    }
}

fn replies_lost<M: Mill>(round: &Round<'_, M>, before: Before) -> u64 {
    let proxies = round.mill.proxies(before).into_iter();
    proxies.map(FaultProxy::replies_lost).sum()
}

/// What is lost must be seldom enough that a connection can be set up and a transaction made.
fn lose_replies(before: Before) -> ProxyMode {
    let others = match before {
        Before::Redis => 10,
        Before::Kafka | Before::Sql | Before::MongoDb => 60,
    };
    let every = NonZeroU64::MIN.saturating_add(others);
    ProxyMode::LoseReplies { every }
}

pub(crate) fn before_redis<M: Mill>() -> Vec<Fault<M>> {
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

/// Before what the effects are kept in.
pub(crate) fn before_documents<M: Mill>(before: Before) -> Vec<Fault<M>> {
    vec![
        reset(before).small_on_postgres().small_on_mongodb(),
        refuse(before),
        // A call that was on its way is given up after a minute.
        mode(before, "half-open", ProxyMode::HalfOpen).alone(),
        mode(before, "late", ProxyMode::Delay(Duration::from_millis(50))),
        mode(before, "slow", slow()),
        lossy(before).small_on_postgres().small_on_mongodb(),
    ]
}

fn slow() -> ProxyMode {
    ProxyMode::Drip {
        bytes_per_second: 30_000,
    }
}

/// The network is in a mode for a while.
fn mode<M: Mill>(before: Before, word: &str, mode: ProxyMode) -> Fault<M> {
    let name = format!("network before {}: {word}", before.name());
    Fault::new(name, move |round| {
        round.send_part(20)?;
        set(round, before, mode);
        last(round.scale.outage());
        set(round, before, ProxyMode::Pass);
        Ok(())
    })
}

fn reset<M: Mill>(before: Before) -> Fault<M> {
    let name = format!("network before {}: reset again and again", before.name());
    Fault::new(name, move |round| {
        round.send_part(20)?;
        for _ in 0..RESETS {
            reset_all(round, before);
            last(RESET_INTERVAL);
        }
        Ok(())
    })
}

fn refuse<M: Mill>(before: Before) -> Fault<M> {
    let name = format!("network before {}: reset and refused", before.name());
    Fault::new(name, move |round| {
        round.send_part(20)?;
        set(round, before, ProxyMode::Refuse);
        reset_all(round, before);
        last(round.scale.outage());
        set(round, before, ProxyMode::Pass);
        Ok(())
    })
}

fn lossy<M: Mill>(before: Before) -> Fault<M> {
    let name = format!("network before {}: replies lost", before.name());
    Fault::new(name, move |round| {
        round.send_part(20)?;
        let lost = replies_lost(round, before);
        set(round, before, lose_replies(before));
        last(round.scale.outage());
        // On a slow machine the requests come slowly.
        let any = eventually("a reply to be lost", SOON, || {
            (replies_lost(round, before) > lost).then_some(())
        });
        set(round, before, ProxyMode::Pass);
        any
    })
}
