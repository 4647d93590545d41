//! What was given up is redriven and counts once, whether or not it had its effects before.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use bus::{DeadLetter, MessageId, Redriven};
use common::topics::{EventsNormalized, Topic as _, TopicInfo};
use crash_points::CrashPoint;
use testkit::servers::{RedisServer, eventually_async, or_skip, redis_cli};
use tests::{Differences, Sale, Sender, SqlServer, Stack, sqlite};

const TOPIC: TopicInfo = EventsNormalized::INFO;
const BRAND: &str = "acme";
const SALES: i64 = 30;
const DRAINED: Duration = Duration::from_mins(2);
const DELIVERIES_MAX: &str = "2";

/// Each in a minute of its own.
fn sales() -> Vec<Sale> {
    let sale = |number| Sale {
        event_id: format!("sale-{number}"),
        user_id: format!("buyer-{}", number % 4),
        timestamp: format!("2026-01-01T00:{number:02}:00Z"),
        cents: 100 + number,
    };
    (0..SALES).map(sale).collect()
}

/// A Millrace that gives up soon.
async fn start(sql: SqlServer) -> Result<Option<Stack>> {
    let Some(redis) = or_skip("redis-server", RedisServer::start()) else {
        return Ok(None);
    };
    let variables = [("MAX_DELIVERIES", DELIVERIES_MAX)];
    Ok(Some(Stack::start(redis, sql, &variables).await?))
}

async fn letters(stack: &Stack) -> Result<Vec<DeadLetter>> {
    let all = stack.bus()?;
    let all = all.dead_letters(&TOPIC, MessageId::ZERO, 1_000).await?;
    Ok(all)
}

/// Publishes all letters again and waits until they are processed.
async fn redrive_all(stack: &Stack) -> Result<()> {
    let ids: Vec<MessageId> = letters(stack)
        .await?
        .iter()
        .map(|letter| letter.id)
        .collect();
    let redriven = stack.bus()?.redrive(&TOPIC, &ids).await?;
    let all = redriven.iter().all(|one| matches!(one, Redriven::As(_)));
    ensure!(all && !redriven.is_empty(), "{redriven:?}");
    stack.wait_drained(DRAINED).await?;
    ensure!(letters(stack).await?.is_empty(), "given up again");
    Ok(())
}

/// Every sale is given up, by workers that crash at a point; gives how many of them did not count.
async fn given_up_at(stack: &mut Stack, point: CrashPoint, sender: &mut Sender) -> Result<i64> {
    stack.processors.kill()?;
    sender.send(&sales())?;
    let bus = stack.bus()?;
    let normalized = async || {
        let overview = bus.overview(&TOPIC).await.ok()?;
        (overview.published == u64::try_from(SALES).ok()?).then_some(())
    };
    eventually_async("the sales to be normalised", DRAINED, normalized).await?;
    stack.crash_processors(point, DELIVERIES_MAX.parse()?)?;
    stack.replace_processors()?;
    stack.wait_drained(DRAINED).await?;
    let letters = letters(stack).await?;
    assert_eq!(i64::try_from(letters.len())?, SALES);
    for letter in letters {
        assert_eq!(letter.reason, "deliveries_exhausted");
    }
    let differences = sender.ledger.compare(&stack.stores()?, BRAND).await?;
    assert_eq!(differences.doubled, 0);
    Ok(differences.lost)
}

async fn counts_once_after(sql: SqlServer, point: CrashPoint, lost: i64) -> Result<()> {
    let Some(mut stack) = start(sql).await? else {
        return Ok(());
    };
    let mut sender = Sender::new(&stack.api, BRAND);
    let without = given_up_at(&mut stack, point, &mut sender).await?;
    assert_eq!(without, lost);
    redrive_all(&stack).await?;
    let audit = stack.bus()?.overview(&TOPIC).await?.audit();
    ensure!(audit.is_balanced(), "{audit:?}");
    sender.ledger.check(&stack, BRAND).await
}

#[tokio::test]
async fn what_was_committed_and_never_acknowledged_counts_once_on_sqlite() -> Result<()> {
    counts_once_after(sqlite()?, CrashPoint::StageProcessed, 0).await
}

#[tokio::test]
async fn what_was_committed_and_never_acknowledged_counts_once_on_postgres() -> Result<()> {
    let Some(sql) = SqlServer::postgres() else {
        return Ok(());
    };
    counts_once_after(sql, CrashPoint::StageProcessed, 0).await
}

#[tokio::test]
async fn what_was_never_committed_counts_when_it_is_redriven() -> Result<()> {
    counts_once_after(sqlite()?, CrashPoint::StoresEffectsCommitting, SALES).await
}

/// A letter that a person wrote by hand, of a message that is in the topic.
fn write_letter(stack: &Stack, message: &bus::StoredMessage, id: &str) -> Result<()> {
    let stream = TOPIC.dead_letters();
    let mut command = vec!["XADD", &stream, "*", "dlq_reason", "by_hand", "dlq_id", id];
    for (name, value) in &message.fields.0 {
        command.extend([std::str::from_utf8(name)?, std::str::from_utf8(value)?]);
    }
    redis_cli(stack.redis.url(), &command).map(drop)
}

#[tokio::test]
async fn a_letter_of_a_message_that_was_counted_changes_nothing() -> Result<()> {
    let Some(stack) = start(sqlite()?).await? else {
        return Ok(());
    };
    let mut sender = Sender::new(&stack.api, BRAND);
    sender.send(&sales())?;
    stack.wait_drained(DRAINED).await?;
    sender.ledger.check(&stack, BRAND).await?;
    let messages = stack.bus()?.range(TOPIC.name, MessageId::ZERO, 100).await?;
    for message in &messages {
        write_letter(&stack, message, &message.id.to_string())?;
    }
    // Among new ones, and again.
    let later = Sale {
        event_id: "later".to_owned(),
        timestamp: "2026-01-02T00:00:00Z".to_owned(),
        ..sales().pop().context("a sale")?
    };
    sender.send(&[later])?;
    redrive_all(&stack).await?;
    sender.ledger.check(&stack, BRAND).await?;

    // The same message under an id that never counted does count.
    let odd = messages.iter().find(|message| !has_order(message));
    write_letter(&stack, odd.context("a sale without an order")?, "5-1")?;
    redrive_all(&stack).await?;
    let differences = sender.ledger.compare(&stack.stores()?, BRAND).await?;
    let Differences { lost, doubled, .. } = differences;
    assert_eq!((lost, doubled), (0, 1));
    Ok(())
}

fn has_order(message: &bus::StoredMessage) -> bool {
    let mut values = message.fields.0.iter().map(|(_, value)| value);
    values.any(|value| String::from_utf8_lossy(value).contains("order_id"))
}
