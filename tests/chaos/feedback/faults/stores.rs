//! A batch store in Redis that somebody spoils, and that fails over.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use bus::MessageId;
use common::keys::FeedbackBatchKey;
use testkit::servers::eventually;

use super::Round;
use crate::faults::Fault;
use crate::feedback::Deployment;
use crate::feedback::audit::{TOPICS, letters};
use crate::feedback::given::agent_name;
use crate::feedback::world::World;
use crate::round::last;

const SOON: Duration = Duration::from_mins(1);
const LETTERS_AT_ONCE: usize = 500;
/// Elements that no flusher has put into a batch.
const FOREIGN: [&str; 3] = ["no item", "{\"agentId\": 7}", "zstd:1:9:xyz"];

pub(super) fn all(world: World) -> Vec<Fault<Deployment>> {
    let mut faults = vec![
        Fault::new(
            "batch: a key of a wrong type in its place, until all is dead",
            spoil,
        )
        .alone()
        .burst()
        .small_on_sqlite(),
        Fault::new(
            "batch: other programs push what is no item",
            push_what_is_no_item,
        )
        .alone()
        .small_on_sqlite(),
    ];
    if world.replicated {
        faults.push(
            Fault::new("batches: failover to the replica, twice", fail_over).small_on_postgres(),
        );
    }
    faults
}

/// The items of one agent cannot be added, so their messages end as dead letters; those of the others
/// are not held up. When the key is gone, the letters are published again.
fn spoil(round: &mut Round<'_>) -> Result<()> {
    let agent_id = agent_name(&round.name, 0);
    let key = FeedbackBatchKey { agent_id }.to_string();
    let before = round.baseline.letters;
    round.redis(&["SET", &key, "not a list"])?;
    round.send_all()?;
    wait_settled(round)?;
    let dead = round.mill.block_on(letters(round.mill))?;
    ensure!(dead > before, "no item was refused");
    round.redis(&["DEL", &key])?;
    redrive(round)
}

/// Waits until no message is in hand.
fn wait_settled(round: &Round<'_>) -> Result<()> {
    let bus = round.mill.bus();
    eventually("all messages to be settled", SOON, || {
        let open = TOPICS.iter().map(|topic| {
            let overview = round.mill.block_on(bus.overview(topic)).ok()?;
            Some(overview.groups.first()?.backlog())
        });
        (open.sum::<Option<u64>>()? == 0).then_some(())
    })
}

fn redrive(round: &Round<'_>) -> Result<()> {
    let bus = round.mill.bus();
    for topic in &TOPICS {
        loop {
            let letters = bus.dead_letters(topic, MessageId::ZERO, LETTERS_AT_ONCE);
            let letters = round.mill.block_on(letters)?;
            let ours = letters.iter().filter(|letter| {
                let mut fields = letter.fields.0.iter();
                let room = format!("room-{}", round.name);
                fields.any(|(name, value)| name == b"roomId" && value == room.as_bytes())
            });
            let ids: Vec<MessageId> = ours.map(|letter| letter.id).collect();
            if ids.is_empty() {
                break;
            }
            round.mill.block_on(bus.redrive(topic, &ids))?;
        }
    }
    Ok(())
}

/// Each becomes one dead letter, whatever it lies beside and whoever dies over it.
fn push_what_is_no_item(round: &mut Round<'_>) -> Result<()> {
    round.send_part(20)?;
    for agent in 0..3 {
        let agent_id = agent_name(&round.name, agent);
        let key = FeedbackBatchKey { agent_id }.to_string();
        for element in FOREIGN {
            let element = format!("{element} {} {agent}", round.name);
            round.redis(&["LPUSH", &key, &element])?;
            round.baseline.letters += 1;
        }
        round.mill.flusher(agent_index(agent))?.replace()?;
    }
    Ok(())
}

fn agent_index(agent: u64) -> usize {
    usize::from(agent % 2 == 1)
}

fn fail_over(round: &mut Round<'_>) -> Result<()> {
    for percent in [20, 60] {
        round.send_part(percent)?;
        let pair = round.mill.pair.as_mut().context("there is no replica")?;
        pair.fail_over()?;
        last(Duration::from_millis(500));
    }
    Ok(())
}
