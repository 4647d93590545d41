//! A timeline for people.

use std::io::{self, Write};
use std::time::Duration;

use super::state::{GroupState, State};
use super::timeline::{Stage, Timeline};
use crate::duration;
use crate::output::Output;

/// Prints it.
pub(super) fn show<W: Write>(output: &mut Output<W>, timeline: &Timeline) -> io::Result<()> {
    let unknown = || "?".to_owned();
    output.line(&format!(
        "event {}: {} of {}",
        timeline.event_id,
        timeline.event_type.clone().unwrap_or_else(unknown),
        timeline.brand_id.clone().unwrap_or_else(unknown)
    ))?;
    for stage in &timeline.stages {
        output.line("")?;
        for line in lines_of(stage) {
            output.line(&line)?;
        }
    }
    output.line("")?;
    for searched in timeline.searched.iter().filter(|it| it.is_known()) {
        output.line(&searched.to_string())?;
    }
    if let Some(error) = &timeline.sql_error {
        output.line(&format!("SQL was not asked for effects: {error}"))?;
    }
    Ok(())
}

fn lines_of(stage: &Stage) -> Vec<String> {
    let reason = stage.reason.as_ref();
    let reason = reason
        .map(|reason| format!(", {reason}"))
        .unwrap_or_default();
    let gone = if stage.gone { ", now gone" } else { "" };
    let mut lines = vec![format!(
        "{:>9}  {} {}{reason}{gone}, {}",
        after(stage.after_ms),
        stage.topic,
        stage.id,
        stage.at
    )];
    let mut detail = |text: String| lines.push(format!("{:>9}  {text}", ""));
    if let Some(first) = &stage.redriven_from {
        detail(format!(
            "a dead letter sent again, first published as {first}"
        ));
    }
    if let Some(cause) = &stage.cause {
        let took = duration::show(Duration::from_millis(cause.after_ms));
        detail(format!(
            "because of {} {}, {took} before",
            cause.topic, cause.id
        ));
    }
    for group in &stage.groups {
        detail(format!("{}: {}", group.group, state_of(group)));
    }
    if let Some(again) = &stage.again_as {
        detail(format!("published again as {again}"));
    }
    lines
}

fn state_of(group: &GroupState) -> String {
    let mut text = match &group.state {
        State::Undelivered => "not delivered yet".to_owned(),
        State::Held {
            holder,
            idle_ms,
            attempts,
        } => format!(
            "held by {holder} for {}, attempt {attempts}",
            duration::show(Duration::from_millis(*idle_ms))
        ),
        State::Retrying {
            attempts,
            first_failed_at,
            last_failure,
            ..
        } => format!(
            "waits for its retry after attempt {attempts}, first failed {}: {}",
            first_failed_at.as_deref().unwrap_or("?"),
            last_failure.as_deref().unwrap_or("no reason known")
        ),
        State::Done => "done".to_owned(),
        State::Redriven { message } => format!("given up, and sent again as {message}"),
        State::Dead(letter) => format!(
            "given up {} at attempt {}, first failed {}, dead letter {}: {}: {}",
            letter.given_up_at,
            letter.attempts,
            letter.first_failed_at,
            letter.dead_letter_id,
            letter.reason,
            letter.error
        ),
    };
    if let (Some(at), Some(after_ms)) = (&group.applied_at, group.applied_after_ms) {
        let took = duration::show(Duration::from_millis(after_ms.unsigned_abs()));
        let order = if after_ms < 0 { "before" } else { "later" };
        text = format!("{text}; in SQL {took} {order}, {at}");
    }
    text
}

fn after(millis: u64) -> String {
    format!("+{}", duration::show(Duration::from_millis(millis)))
}
