//! `millrace bus status`: where each topic lives, and what is being moved.

use std::process::ExitCode;

use anyhow::Context as _;
use bus::{Bus, BusError, BusSettings, Move, MoveState, Place};
use common::topics::{self, TopicInfo};
use serde::Serialize;

use crate::output::{Column, Output, grouped};

const COLUMNS: &[Column] = &[
    Column::left("topic"),
    Column::left("lives on"),
    Column::left("move"),
    Column::left("since"),
    Column::right("messages"),
    Column::right("letters"),
];

/// Show on which server each topic lives, and what is being moved
#[derive(Debug, clap::Args)]
pub(super) struct Status {
    /// Print one JSON object for each topic
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    bus: BusSettings,
}

/// One topic.
#[derive(Debug, Serialize)]
struct Line {
    topic: &'static str,
    /// `redis` or `kafka`; `unreachable` for one that was moved to a Kafka that is not set.
    lives_on: &'static str,
    #[serde(rename = "move", skip_serializing_if = "Option::is_none")]
    moved: Option<MoveLine>,
}

#[derive(Debug, Serialize)]
struct MoveLine {
    state: &'static str,
    since: String,
    messages: u64,
    letters: u64,
}

impl Status {
    pub(super) async fn run(self) -> anyhow::Result<ExitCode> {
        let bus = self.bus.open()?;
        let mut output = Output::stdout();
        let mut lines = Vec::new();
        for topic in topics::ALL {
            let line = line(&bus, topic).await;
            lines.push(line.with_context(|| format!("asking where {} lives", topic.name))?);
        }
        if self.json {
            lines.iter().try_for_each(|line| output.json(line))?;
        } else {
            output.table(COLUMNS, lines.iter().map(row))?;
        }
        Ok(ExitCode::SUCCESS)
    }
}

async fn line(bus: &Bus, topic: &TopicInfo) -> Result<Line, BusError> {
    let lives_on = match bus.place(topic).await {
        Ok(Some(Place::Kafka)) => "kafka",
        Ok(Some(Place::Redis) | None) => "redis",
        Err(BusError::Moved(_)) => "unreachable",
        Err(error) => return Err(error),
    };
    Ok(Line {
        topic: topic.name,
        lives_on,
        moved: bus.move_of(topic).await?.map(move_line),
    })
}

fn move_line(known: Move) -> MoveLine {
    let [messages, letters] = known.went_over;
    MoveLine {
        state: match known.state {
            MoveState::Copying => "copying",
            MoveState::Done => "done",
        },
        since: known.since,
        messages,
        letters,
    }
}

fn row(line: &Line) -> Vec<String> {
    let mut row = vec![line.topic.to_owned(), line.lives_on.to_owned()];
    match &line.moved {
        Some(moved) => row.extend([
            moved.state.to_owned(),
            moved.since.clone(),
            grouped(moved.messages),
            grouped(moved.letters),
        ]),
        None => row.extend([const { String::new() }; 4]),
    }
    row
}
