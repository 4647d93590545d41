//! The time of the scripts.

use anyhow::{Result, ensure};
use common::UnixMillis;
use common::time::DAY_MS;
use proptest::prelude::*;

use crate::{ANY, Bench, DueWhen, LONG, NEVER, SHORT, agent, items};

const PRELUDE: &str = include_str!("../../src/feedback/redis/lua/prelude.lua");

/// What the scripts print for moments.
fn printed(bench: &Bench, moments: &[i64]) -> Result<Vec<String>> {
    let script = format!(
        "{PRELUDE}\nlocal texts = {{}}\nfor at, ms in ipairs(ARGV) do texts[at] = iso(tonumber(ms)) end\n\
         return texts"
    );
    let arguments: Vec<String> = moments.iter().map(i64::to_string).collect();
    let mut command = vec!["EVAL", &script, "0"];
    command.extend(arguments.iter().map(String::as_str));
    Ok(bench.cli(&command)?.lines().map(str::to_owned).collect())
}

fn check(bench: &Bench, moments: &[i64]) -> Result<()> {
    let expected: Vec<String> = moments
        .iter()
        .map(|millis| UnixMillis(*millis).to_string())
        .collect();
    let found = printed(bench, moments)?;
    ensure!(found == expected, "{found:?} instead of {expected:?}");
    Ok(())
}

#[tokio::test]
async fn moments_are_printed_as_everywhere_else_on_every_day() -> Result<()> {
    let Some(bench) = Bench::on_redis()? else {
        return Ok(());
    };
    // Every day of 400 years, after which the calendar begins again.
    let days: Vec<i64> = (0..146_097)
        .map(|day| day * DAY_MS + day % DAY_MS)
        .collect();
    for some in days.chunks(2_000) {
        check(&bench, some)?;
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 8, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_moments_are_printed_as_everywhere_else(
        moments in proptest::collection::vec(0_i64..30_000 * DAY_MS, 500),
    ) {
        let bench = Bench::on_redis().map_err(|error| TestCaseError::fail(error.to_string()))?;
        if let Some(bench) = bench {
            check(&bench, &moments).map_err(|error| TestCaseError::fail(error.to_string()))?;
        }
    }
}

#[tokio::test]
async fn a_server_whose_clock_was_set_back_makes_no_batch_old() -> Result<()> {
    let Some(bench) = Bench::on_redis()? else {
        return Ok(());
    };
    bench.add(&items("a", 0..1)).await?;
    let future = r#"{"createdAt":"2999-01-01T00:00:00.000Z","lastItemAt":"2999-01-01T00:00:00.000Z","itemCount":1}"#;
    bench.cli(&["SET", "feedback:batch:a:meta", future])?;
    let old = DueWhen {
        age: SHORT,
        ..NEVER
    };
    assert_eq!(bench.batches.due(&old, 10).await?, []);
    assert_eq!(bench.batches.due(&ANY, 10).await?, [agent("a")]);
    let batch = &bench.batches.of_agent(&agent("a")).await?[0];
    assert_eq!((batch.age, batch.items), (std::time::Duration::ZERO, 1));
    let taken = bench.take(&agent("a"), LONG, 10).await?;
    assert_eq!(taken.age, std::time::Duration::ZERO);
    Ok(())
}
