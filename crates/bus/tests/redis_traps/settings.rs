//! A server whose settings lose work, and names that are not unique.

use std::time::Duration;

use anyhow::{Context as _, Result};
use bus::{Bus, BusError, BusSettings, Place, Risk, SubscribeOptions};
use clap::Parser as _;
use testkit::servers::{RedisServer, free_address, or_skip};

#[derive(clap::Parser)]
struct Settings {
    #[command(flatten)]
    bus: BusSettings,
}

fn settings(url: &str, more: &[&str]) -> Result<BusSettings> {
    let line = [&["tests", "--redis-url", url], more].concat();
    Ok(Settings::try_parse_from(line)?.bus)
}

/// A server that is full throws away streams. Remedy: a worker refuses to start on one that may,
/// and says what to set.
#[tokio::test]
async fn a_server_that_may_evict_work_is_refused_unless_it_is_allowed() -> Result<()> {
    let evicting = ["--maxmemory-policy", "allkeys-lru"];
    let Some(server) = or_skip("redis-server", RedisServer::start_with(&evicting)) else {
        return Ok(());
    };
    let careful = settings(server.url(), &[])?;
    let bus = careful.open()?;
    let refusal = careful.check(&bus).await;
    let Err(BusError::Unsafe(problem)) = &refusal else {
        anyhow::bail!("{refusal:?}");
    };
    assert!(problem.contains("allkeys-lru") && problem.contains("noeviction"));
    let message = refusal.err().context("no refusal")?.to_string();
    assert!(message.contains("--allow-eviction"), "{message}");

    settings(server.url(), &["--allow-eviction"])?
        .check(&bus)
        .await?;
    Ok(())
}

/// A server without persistence forgets what it accepted. Remedy: that is reported, and a worker
/// warns and starts: it is fine for development.
#[tokio::test]
async fn a_server_that_forgets_when_it_stops_is_reported() -> Result<()> {
    let Some(server) = or_skip(
        "redis-server",
        RedisServer::start_with(&["--appendonly", "no"]),
    ) else {
        return Ok(());
    };
    let settings = settings(server.url(), &[])?;
    let bus = settings.open()?;
    let risks = bus.check().await?;
    let [Risk::Forgetting(problem)] = risks.as_slice() else {
        anyhow::bail!("{risks:?}");
    };
    assert!(problem.contains("appendonly yes"), "{problem}");
    settings.check(&bus).await?;
    Ok(())
}

/// Whoever says `kafka` and names no broker would go on with Redis. Remedy: it is refused.
#[test]
fn kafka_is_chosen_only_together_with_its_brokers() -> Result<()> {
    let url = "redis://127.0.0.1:1";
    let refusal = settings(url, &["--bus", "kafka"])
        .err()
        .context("allowed")?;
    assert!(refusal.to_string().contains("--kafka-brokers"), "{refusal}");
    let chosen = settings(url, &["--bus", "kafka", "--kafka-brokers", "broker:9092"])?;
    assert_eq!(chosen.bus, Place::Kafka);
    assert_eq!(settings(url, &[])?.bus, Place::Redis);
    Ok(())
}

#[tokio::test]
async fn a_server_that_is_set_up_as_it_should_be_is_no_risk() -> Result<()> {
    let Some(server) = or_skip("redis-server", RedisServer::start()) else {
        return Ok(());
    };
    let bus = Bus::on_redis(server.url(), Duration::from_secs(5))?;
    assert_eq!(bus.check().await?, []);
    Ok(())
}

#[tokio::test]
async fn a_server_that_is_not_there_is_unavailable() -> Result<()> {
    let url = format!("redis://{}", free_address()?);
    let bus = Bus::on_redis(&url, Duration::from_secs(1))?;
    assert!(bus.check().await.is_err_and(|error| error.is_unavailable()));
    Ok(())
}

/// Two processes with one consumer name take each other's messages for their own. Remedy: a name
/// is drawn at every start.
#[test]
fn no_two_consumers_have_the_same_name() {
    let name = || SubscribeOptions::default().consumer;
    assert_ne!(name(), name());
}

/// Of several servers, one does not answer. Remedy: an error says which; its URL holds a password.
#[tokio::test]
async fn a_server_that_cannot_be_reached_is_named_without_its_password() -> Result<()> {
    let address = free_address()?;
    let url = format!("redis://user:hunter2@{address}");
    let bus = Bus::on_redis(&url, Duration::from_secs(1))?;
    let error = bus.server_status().await.err().context("it answered")?;
    let text = error.to_string();
    assert!(error.is_unavailable() && text.contains(&address), "{text}");
    assert!(
        !text.contains("hunter2") && !text.contains("user"),
        "{text}"
    );
    Ok(())
}
