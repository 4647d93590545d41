//! `millrace audit`: whether every message is accounted for.

use std::io;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use bus::{BusSettings, GroupAudit, TopicAudit, TopicOverview};
use common::topics;
use serde::Serialize;

use crate::output::{Column, Output, grouped, note};
use crate::{duration, streams};

/// How often `--wait` looks.
const INTERVAL: Duration = Duration::from_millis(250);

const GROUP_COLUMNS: &[Column] = &[
    Column::left("topic"),
    Column::left("group"),
    Column::right("published"),
    Column::right("done"),
    Column::right("pending"),
    Column::right("dead"),
    Column::right("undelivered"),
    Column::right("vanished"),
    Column::right("difference"),
];
const LETTER_COLUMNS: &[Column] = &[
    Column::left("dead letters of"),
    Column::right("written"),
    Column::right("waiting"),
    Column::right("redriven"),
    Column::right("discarded"),
    Column::right("expired"),
    Column::right("difference"),
];

/// Check that every message is accounted for: in each stream and consumer group, published = done +
/// pending + dead + undelivered + vanished
///
/// The numbers of a topic are taken in one step, so this holds at every moment, also while
/// everything runs. Ends with 1 when it does not, and with --wait also when the time ran out before
/// everything was counted.
#[derive(Debug, clap::Args)]
pub(crate) struct Audit {
    /// Look again until all is counted exactly and balances, at most so long
    #[arg(long, value_name = "DURATION", value_parser = duration::parse)]
    wait: Option<Duration>,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    bus: BusSettings,
}

/// All of it as JSON.
#[derive(Debug, Serialize)]
struct AuditReport<'a> {
    balanced: bool,
    /// Whether everything is counted, too: else nothing is known to be missing.
    proven: bool,
    topics: Vec<TopicPart<'a>>,
}

#[derive(Debug, Serialize)]
struct TopicPart<'a> {
    topic: &'a str,
    balanced: bool,
    proven: bool,
    groups: Vec<GroupPart<'a>>,
    dead_letters: LettersPart,
}

#[derive(Debug, Serialize)]
struct GroupPart<'a> {
    group: &'a str,
    published: u64,
    done: u64,
    pending: u64,
    dead: u64,
    undelivered: u64,
    vanished: u64,
    difference: i64,
    exact: bool,
    proven: bool,
}

#[derive(Debug, Serialize)]
struct LettersPart {
    written: u64,
    waiting: u64,
    redriven: u64,
    discarded: u64,
    expired: u64,
    difference: i64,
}

impl Audit {
    pub(crate) async fn run(self) -> anyhow::Result<ExitCode> {
        let bus = self.bus.open()?;
        let started = Instant::now();
        let audits = loop {
            let overviews = streams::overviews(&bus, topics::ALL).await;
            let overviews = overviews.context("looking at the streams")?;
            let audits: Vec<TopicAudit> = overviews.iter().map(TopicOverview::audit).collect();
            let is_enough = self.wait.is_none_or(|wait| started.elapsed() >= wait);
            if is_enough || audits.iter().all(TopicAudit::is_proven) {
                break audits;
            }
            tokio::time::sleep(INTERVAL).await;
        };
        self.print(&audits)?;
        for audit in &audits {
            for group in &audit.groups {
                say_what_is_wrong(&audit.name, group);
            }
        }
        Ok(self.verdict(&audits))
    }

    fn print(&self, audits: &[TopicAudit]) -> io::Result<()> {
        let mut output = Output::stdout();
        if self.json {
            return output.json(&AuditReport {
                balanced: audits.iter().all(TopicAudit::is_balanced),
                proven: audits.iter().all(TopicAudit::is_proven),
                topics: audits.iter().map(topic_part).collect(),
            });
        }
        output.table(GROUP_COLUMNS, audits.iter().flat_map(group_rows))?;
        if audits.iter().any(has_letters) {
            let rows = audits.iter().filter(|audit| has_letters(audit));
            output.table(LETTER_COLUMNS, rows.map(letters_row))?;
        }
        Ok(())
    }

    /// Who waits wants a proof; who only looks is told what is not counted.
    fn verdict(&self, audits: &[TopicAudit]) -> ExitCode {
        if !audits.iter().all(TopicAudit::is_balanced) {
            note("millrace: not every message is accounted for; see the differences");
            return ExitCode::FAILURE;
        }
        if self.wait.is_some() && !audits.iter().all(TopicAudit::is_proven) {
            note("millrace: the time ran out before everything was counted: nothing is proven");
            return ExitCode::FAILURE;
        }
        ExitCode::SUCCESS
    }
}

fn has_letters(audit: &TopicAudit) -> bool {
    audit.letters > 0 || audit.waiting > 0 || audit.dead_letters_difference != 0
}

fn say_what_is_wrong(topic: &str, group: &GroupAudit) {
    let place = format!("{topic}/{}", group.group);
    if group.vanished > 0 {
        let lost = grouped(group.vanished);
        note(&format!(
            "LOST: {lost} messages of {place} were deleted while pending"
        ));
    }
    if !group.exact {
        note(&format!(
            "{place} is not counted exactly now: its difference says nothing"
        ));
    }
}

fn group_rows(audit: &TopicAudit) -> Vec<Vec<String>> {
    let row = |group: &GroupAudit| {
        let numbers = [
            group.published,
            group.done,
            group.pending,
            group.dead,
            group.undelivered,
            group.vanished,
        ];
        let difference = if group.exact {
            group.difference.to_string()
        } else {
            "?".to_owned()
        };
        let mut row = vec![audit.name.clone(), group.group.clone()];
        row.extend(numbers.map(grouped));
        row.push(difference);
        row
    };
    audit.groups.iter().map(row).collect()
}

fn letters_row(audit: &TopicAudit) -> Vec<String> {
    let numbers = [
        audit.letters,
        audit.waiting,
        audit.redriven,
        audit.discarded,
        audit.expired,
    ];
    let mut row = vec![audit.name.clone()];
    row.extend(numbers.map(grouped));
    row.push(audit.dead_letters_difference.to_string());
    row
}

fn topic_part(audit: &TopicAudit) -> TopicPart<'_> {
    TopicPart {
        topic: &audit.name,
        balanced: audit.is_balanced(),
        proven: audit.is_proven(),
        groups: audit.groups.iter().map(group_part).collect(),
        dead_letters: LettersPart {
            written: audit.letters,
            waiting: audit.waiting,
            redriven: audit.redriven,
            discarded: audit.discarded,
            expired: audit.expired,
            difference: audit.dead_letters_difference,
        },
    }
}

fn group_part(group: &GroupAudit) -> GroupPart<'_> {
    GroupPart {
        group: &group.group,
        published: group.published,
        done: group.done,
        pending: group.pending,
        dead: group.dead,
        undelivered: group.undelivered,
        vanished: group.vanished,
        difference: group.difference,
        exact: group.exact,
        proven: group.is_proven(),
    }
}
