//! A database that vanished without a word: its connections look alive and carry nothing.

use std::time::Duration;

use anyhow::{Context as _, Result};
use stores::{Database, Features};
use testkit::servers::{FaultProxy, ProxyMode, eventually_async, postgres_database};

use crate::facts::fact;
use crate::{NOW, POLICY, STAGE};

const LOSSES: u64 = 3;
const SOON: Duration = Duration::from_secs(30);
const PATIENCE: Duration = Duration::from_secs(1);

/// A caller that waits no longer leaves a connection in the middle of a statement, and the pool asks
/// such a connection without a limit whether it is alive. Remedy: a limit; else the pool is empty for
/// ever after as many losses as it has connections.
#[tokio::test]
async fn connections_that_were_given_up_in_the_middle_of_a_call_are_replaced() -> Result<()> {
    let Some(server) = postgres_database() else {
        return Ok(());
    };
    let (_, rest) = server.url().split_once('@').context("a user")?;
    let (address, _) = rest.split_once('/').context("a name")?;
    let proxy = FaultProxy::start(address)?;
    let url = server.url().replace(address, proxy.address());
    let database = Database::open(&url, 1)?;
    database.migrate().await?;
    let features = Features::new(database.clone());
    for number in 0..LOSSES {
        let connected =
            eventually_async("a connection", SOON, async || database.ready().await.ok());
        connected
            .await
            .with_context(|| format!("after {number} losses"))?;
        let facts = [fact(number)];
        let vanish = |_: &stores::Applied| {
            proxy.set(ProxyMode::HalfOpen);
            Vec::new()
        };
        let call = features.apply(STAGE, &facts, (false, POLICY, NOW), vanish);
        let result = tokio::time::timeout(PATIENCE, call).await;
        assert!(result.is_err(), "the call was answered: {result:?}");
        proxy.set(ProxyMode::Pass);
    }
    Ok(())
}
