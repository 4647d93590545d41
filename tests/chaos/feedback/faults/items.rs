//! Feedback that is itself the trouble: too much on one agent, and what can never be kept.

use std::time::Duration;

use anyhow::Result;
use common::UnixMillis;
use common::messages::FeedbackReply;
use common::topics::FeedbackReplies;

use super::Round;
use crate::faults::Fault;
use crate::feedback::Deployment;
use crate::feedback::given::AGENTS;
use crate::mill::Mill as _;
use crate::round::last;
use crate::scale::Scale;

/// Kills while the batch of one agent is flushed.
const KILLS: u32 = 6;
/// The longest time between two kills.
const LULL_MS: u64 = 1_500;
/// More than an item may have.
const TOO_LARGE: usize = 1_100_000;

pub(super) fn all(scale: Scale) -> Vec<Fault<Deployment>> {
    let waiting = match scale {
        Scale::Small => 3_000,
        Scale::Full => 100_000,
    };
    vec![
        Fault::new(
            "feedback: much on one agent, kill -9 while it is flushed",
            pile_up,
        )
        .burst()
        .with_events(waiting)
        .alone()
        .small_on_sqlite(),
        Fault::new(
            "feedback: what can never be kept among the healthy, and kill -9",
            poison,
        )
        .alone()
        .small_on_sqlite()
        .small_on_postgres()
        .small_on_mongodb(),
    ]
}

fn pile_up(round: &mut Round<'_>) -> Result<()> {
    round.mill.kill_flushers()?;
    round.mill.agents = 1;
    let sent = round.send_all();
    round.mill.agents = AGENTS;
    sent?;
    round.mill.replace_flushers()?;
    kill_some(round)
}

fn kill_some(round: &mut Round<'_>) -> Result<()> {
    for _ in 0..KILLS {
        let lull = round.random.u64(..LULL_MS);
        last(Duration::from_millis(lull));
        let victim = round.random.usize(..2);
        round.mill.flusher(victim)?.replace()?;
    }
    Ok(())
}

/// Each of them is one dead letter, and keeps nobody waiting.
fn poison(round: &mut Round<'_>) -> Result<()> {
    for percent in [20, 50, 80] {
        round.send_part(percent)?;
        let mut replies: Vec<FeedbackReply> = (0..5).map(|number| reply(round, number)).collect();
        if let [nobody, control, long, large, unnamed] = replies.as_mut_slice() {
            nobody.agent_id = String::new();
            "agent\n1".clone_into(&mut control.agent_id);
            long.feedback_id = Some("x".repeat(201));
            large.text = "x".repeat(TOO_LARGE);
            unnamed.message_id = String::new();
        }
        let bus = round.mill.bus();
        let published = bus.publish::<FeedbackReplies>(&replies);
        round.mill.block_on(published)?;
        round.baseline.letters += 5;
        round.mill.flusher(0)?.replace()?;
    }
    for worker in round.mill.all_workers() {
        worker.replace()?;
    }
    Ok(())
}

fn reply(round: &Round<'_>, number: u64) -> FeedbackReply {
    FeedbackReply {
        agent_id: format!("{}-agent-0", round.name),
        room_id: "room".to_owned(),
        message_id: format!("{}-poison-{number}", round.name),
        user_id: "ann".to_owned(),
        text: "no".to_owned(),
        created_at: UnixMillis(0),
        feedback_id: None,
        rating: None,
        extra: Vec::new(),
    }
}
