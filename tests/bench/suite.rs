//! Which benches there are, and what is asked of them.

use std::io::Write as _;

use anyhow::{Result, ensure};
use tests::{SqlServer, sqlite};

use crate::http::{Load, front_door};
use crate::redis_server::{Persistence, Redis};
use crate::report::{Figures, Row, Target};
use crate::{consume, feedback, feedback_suite, flow, latency, memory, publish};

const NAMES: [&str; 10] = [
    "publish",
    "consume",
    "latency",
    "singles",
    "batches",
    "feedback",
    "flow",
    "feedback-flow",
    "feedback-write",
    "memory",
];

/// Runs the benches of these names, or all.
pub(crate) async fn run(repetitions: usize, names: &[String]) -> Result<Vec<Row>> {
    for name in names {
        ensure!(NAMES.contains(&name.as_str()), "benches are {NAMES:?}");
    }
    let wanted = |name: &str| {
        let wanted = names.is_empty() || names.iter().any(|wanted| wanted == name);
        if wanted {
            writeln!(std::io::stderr(), "measuring {name} …").ok();
        }
        wanted
    };
    let mut rows = Vec::new();
    for persistence in Persistence::ALL {
        let redis = Redis::start(persistence)?;
        let kept = persistence.name();
        if wanted("publish") {
            let turns = publish::publish(&redis, repetitions).await?;
            rows.push(Row::of_turns("publish, batches of 256", kept, &turns, 0.85));
        }
        if wanted("consume") {
            let turns = consume::consume(&redis, repetitions).await?;
            rows.push(Row::of_turns("consume, no-op", kept, &turns, 0.8));
        }
        if wanted("latency") {
            rows.extend(latency_rows(&redis, persistence, repetitions).await?);
        }
        if wanted("singles") {
            let turns = front_door(&redis, Load::SINGLES, repetitions).await?;
            rows.push(Row::of_turns("HTTP, single events", kept, &turns, 0.75));
        }
        if wanted("batches") {
            let turns = front_door(&redis, Load::BATCHES, repetitions).await?;
            rows.push(Row::of_turns("HTTP, batches of 100", kept, &turns, 0.5));
        }
        if wanted("feedback") {
            rows.extend(feedback_rows(&redis, kept, repetitions).await?);
        }
    }
    if wanted("flow") {
        rows.extend(flow_rows(repetitions).await?);
    }
    if wanted("feedback-flow") {
        rows.extend(feedback_suite::flow_rows(repetitions).await?);
    }
    if wanted("feedback-write") {
        rows.extend(feedback_suite::write_rows(repetitions).await?);
    }
    if wanted("memory") {
        rows.extend(memory_rows().await?);
    }
    Ok(rows)
}

async fn feedback_rows(redis: &Redis, kept: &'static str, repetitions: usize) -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    for (agents, [beside_pipelines, beside_round_trips]) in [
        (
            feedback::MANY_AGENTS,
            ["feedback, 1,000 agents", "… beside round trips"],
        ),
        (
            feedback::FEW_AGENTS,
            ["feedback, 20 agents", "… beside round trips"],
        ),
    ] {
        let turns = feedback::beside_pipelines(redis, agents, repetitions).await?;
        rows.push(Row::of_turns(beside_pipelines, kept, &turns, 0.7));
        let turns = feedback::beside_round_trips(redis, agents, repetitions).await?;
        rows.push(Row::of_turns(beside_round_trips, kept, &turns, 20.0));
    }
    let rows = rows.into_iter();
    Ok(rows
        .map(|row| Row {
            unit: "items/s",
            ..row
        })
        .collect())
}

async fn latency_rows(
    redis: &Redis,
    persistence: Persistence,
    repetitions: usize,
) -> Result<Vec<Row>> {
    let turns = latency::latency(redis, repetitions).await?;
    let row = |bench, figure: fn(&latency::Percentiles) -> f64, target| Row {
        bench,
        persistence: persistence.name(),
        unit: "µs",
        limit: Some(Figures::of_values(
            turns.iter().map(|(limit, _)| figure(limit)),
        )),
        ours: Figures::of_values(turns.iter().map(|(_, ours)| figure(ours))),
        ratio: Some(latency::ratio(&turns, figure)),
        target,
    };
    Ok(vec![
        row("latency at 2,000/s, p50", |all| all.p50, None),
        row(
            "latency at 2,000/s, p99",
            |all| all.p99,
            Some(Target::RatioAtMost(2.0)),
        ),
    ])
}

async fn flow_rows(repetitions: usize) -> Result<Vec<Row>> {
    let mut runs: [Vec<flow::Flow>; 2] = Default::default();
    for _ in 0..repetitions {
        let [of_sqlite, of_postgres] = &mut runs;
        of_sqlite.push(flow::flow(Persistence::Aof, sqlite()?).await?);
        if let Some(postgres) = SqlServer::postgres() {
            of_postgres.push(flow::flow(Persistence::Aof, postgres).await?);
        }
    }
    let names = [
        ["whole flow, SQLite", "… p50 at 2,000/s", "… p99 at 2,000/s"],
        [
            "whole flow, PostgreSQL",
            "… p50 at 2,000/s",
            "… p99 at 2,000/s",
        ],
    ];
    let mut rows = Vec::new();
    for (runs, [rate, p50, p99]) in runs.iter().zip(names) {
        let samples: Vec<_> = runs.iter().map(|run| run.sample).collect();
        rows.push(figures(rate, "events/s", Figures::of_samples(&samples)));
        let ms = |figure: fn(&flow::Flow) -> f64| Figures::of_values(runs.iter().map(figure));
        rows.push(figures(p50, "ms", ms(|run| run.p50_ms)));
        rows.push(figures(p99, "ms", ms(|run| run.p99_ms)));
    }
    Ok(rows)
}

async fn memory_rows() -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    for found in memory::memory().await? {
        let [at_rest, backlog] = match found.worker {
            "ingestion" => ["ingestion at rest", "… with 1 M waiting"],
            "admin" => ["admin at rest", "… with 1 M waiting"],
            _ => ["event-processors at rest", "… with 1 M waiting"],
        };
        rows.push(Row {
            target: Some(Target::ValueAtMost(40.0)),
            ..figures(at_rest, "MiB", Figures::of_values([found.at_rest_mib]))
        });
        rows.push(figures(
            backlog,
            "MiB",
            Figures::of_values([found.backlog_mib]),
        ));
    }
    Ok(rows)
}

/// Figures that have no limit to stand beside.
pub(crate) fn figures(bench: &'static str, unit: &'static str, ours: Figures) -> Row {
    Row {
        bench,
        persistence: Persistence::Aof.name(),
        unit,
        limit: None,
        ours,
        ratio: None,
        target: None,
    }
}
