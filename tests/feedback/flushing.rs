//! When batches are flushed, and that everything is one document and one event.

use anyhow::Result;
use common::AgentId;
use testkit::servers::eventually_async;

use crate::bench::{Bench, Flusher, SOON};
use crate::given::{reaction, replies, reply};

in_worlds! {
    redis_sqlite {
        ten_items_that_two_instances_collect_are_one_flush,
        a_batch_is_flushed_by_its_age,
        a_batch_with_urgent_feedback_waits_less_than_others,
        the_same_feedback_is_one_document_and_one_event_however_often_it_comes,
        a_newer_version_of_feedback_replaces_the_older_one,
        thousands_of_items_of_one_agent_are_flushed_in_parts,
        whatever_comes_to_several_instances_is_told_once,
    }
    mongodb_mongodb {
        a_batch_is_flushed_by_its_age,
        a_batch_with_urgent_feedback_waits_less_than_others,
        the_same_feedback_is_one_document_and_one_event_however_often_it_comes,
        a_newer_version_of_feedback_replaces_the_older_one,
        whatever_comes_to_several_instances_is_told_once,
    }
    redis_mongodb { thousands_of_items_of_one_agent_are_flushed_in_parts, }
    redis_postgres { thousands_of_items_of_one_agent_are_flushed_in_parts, }
    memory_sqlite {
        a_batch_is_flushed_by_its_age,
        a_batch_with_urgent_feedback_waits_less_than_others,
        the_same_feedback_is_one_document_and_one_event_however_often_it_comes,
        a_newer_version_of_feedback_replaces_the_older_one,
    }
}

async fn ten_items_that_two_instances_collect_are_one_flush(bench: Bench) -> Result<()> {
    let one_at_a_time = [("BATCH_MAX", "1")];
    let flushers = [
        bench.flusher(&one_at_a_time)?,
        bench.flusher(&one_at_a_time)?,
    ];
    // Redis serves first who has waited longest, so they take turns.
    for number in 0..9_usize {
        bench.reply(&[reply("7", number)]).await?;
        let length = (number + 1).to_string();
        bench
            .cli_answers(&["LLEN", "feedback:batch:7"], &[&length])
            .await?;
    }
    bench.reply(&[reply("7", 9)]).await?;
    bench.all_told(10).await?;
    let flushed_once = async || {
        let count: usize = flushers.iter().map(Flusher::flushes).sum();
        (count == 1).then_some(())
    };
    eventually_async("one flush", SOON, flushed_once).await?;
    for flusher in &flushers {
        let added = r#"millrace_feedback_items_added_total{stage="feedback-replies"}"#;
        assert!(flusher.metric(added)? >= 1.0, "one collected nothing");
    }
    let all: String = flushers
        .iter()
        .map(|flusher| flusher.process.log())
        .collect();
    assert!(all.contains("flushed agent=7 items=10 "), "{all}");
    Ok(())
}

async fn a_batch_is_flushed_by_its_age(bench: Bench) -> Result<()> {
    let flusher = bench.flusher(&[("FEEDBACK_BATCH_TIME_MS", "300")])?;
    bench.reply(&[reply("7", 1)]).await?;
    bench.all_told(1).await?;
    assert_eq!(flusher.says("flushed agent=7 items=1 "), 1);
    Ok(())
}

async fn a_batch_with_urgent_feedback_waits_less_than_others(bench: Bench) -> Result<()> {
    let _flusher = bench.flusher(&[
        ("FEEDBACK_URGENT_TIME_MS", "50"),
        ("FEEDBACK_URGENT_AGENTS", "vip"),
    ])?;
    bench
        .reply(&[reply("calm", 1), reply("vip", 1), reply("7", 1)])
        .await?;
    bench.react(&[reaction("7", 2, ":thumbs_down:")]).await?;
    bench.kept("vip", 1).await?;
    // What is not urgent goes with what is.
    bench.kept("7", 2).await?;
    assert_eq!(bench.documents.count(None).await?, 3);
    Ok(())
}

async fn the_same_feedback_is_one_document_and_one_event_however_often_it_comes(
    bench: Bench,
) -> Result<()> {
    let _flusher = bench.flusher(&[("FEEDBACK_BATCH_TIME_MS", "500")])?;
    let mut named = reply("7", 5);
    named.feedback_id = Some("mine".to_owned());
    for _ in 0..3 {
        bench
            .reply(&[reply("7", 1), reply("7", 1), named.clone()])
            .await?;
        bench
            .react(&[reaction("7", 1, "👍"), reaction("7", 1, "❤️")])
            .await?;
    }
    bench.reply(&replies("7", 10..15)).await?;
    bench.kept("7", 9).await?;
    bench.all_told(9).await
}

async fn a_newer_version_of_feedback_replaces_the_older_one(bench: Bench) -> Result<()> {
    let _flusher = bench.flusher(&[("FEEDBACK_BATCH_SIZE", "3")])?;
    let version = |text: &str, minutes: i64| {
        let mut reply = reply("7", 1);
        text.clone_into(&mut reply.text);
        reply.created_at.0 += minutes * common::time::MINUTE_MS;
        reply
    };
    // Whatever their order, within a batch and beyond it.
    bench
        .reply(&[
            version("second", 2),
            version("third", 3),
            version("first", 1),
        ])
        .await?;
    bench.kept("7", 1).await?;
    bench
        .reply(&[version("old", 0), reply("7", 2), reply("7", 3)])
        .await?;
    bench.all_told(3).await?;
    let documents = bench.documents.of_agent(&AgentId::new("7")?, 10).await?;
    let newest = documents.iter().find(|one| one.message_id == "7-m1");
    let text = newest.and_then(|one| one.text.as_deref());
    assert_eq!(text, Some("third"));
    Ok(())
}

async fn thousands_of_items_of_one_agent_are_flushed_in_parts(bench: Bench) -> Result<()> {
    const ITEMS: usize = 5_000;
    let flusher = bench.flusher(&[("FEEDBACK_BATCH_SIZE", "100000")])?;
    bench.reply(&replies("7", 0..ITEMS)).await?;
    let collected = async || {
        let overview = bench.batches.overview(1).await.ok()?;
        (overview.total_items == 5_000).then_some(())
    };
    eventually_async("all to wait", SOON, collected).await?;
    bench
        .batches
        .request_flush(Some(&AgentId::new("7")?))
        .await?;
    bench.all_told(ITEMS).await?;
    assert!(flusher.flushes() >= 5, "{} flushes", flusher.flushes());
    Ok(())
}

async fn whatever_comes_to_several_instances_is_told_once(bench: Bench) -> Result<()> {
    const ROUNDS: usize = 10;
    let settings = [("FEEDBACK_BATCH_TIME_MS", "1000"), ("BATCH_MAX", "50")];
    let _staying = [bench.flusher(&settings)?, bench.flusher(&settings)?];
    let mut leaving = bench.flusher(&settings)?;
    for round in 0..ROUNDS {
        let replies: Vec<_> = (0..40)
            .flat_map(|agent| replies(&format!("agent-{agent}"), round * 2..round * 2 + 2))
            .collect();
        bench.reply(&replies).await?;
        let reactions: Vec<_> = (0..40)
            .map(|agent| reaction(&format!("agent-{agent}"), round, "👍"))
            .collect();
        bench.react(&reactions).await?;
        if round == ROUNDS / 2 {
            leaving.process.kill()?;
        }
    }
    bench.all_told(ROUNDS * 40 * 3).await?;
    Ok(())
}
