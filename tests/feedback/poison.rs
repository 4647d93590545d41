//! What can never be a document becomes a dead letter with its reason, and harms nothing else.

use anyhow::{Context as _, Result};
use bus::{Once, OnceRule};
use common::ids::reply_id;
use common::messages::FeedbackReply;
use common::topics::{FeedbackReplies, Topic as _};
use common::{AgentId, Message as _, RawFields};

use crate::bench::{Bench, SOON};
use crate::given::{replies, reply};

in_worlds! {
    redis_sqlite {
        what_can_be_no_item_is_given_up_at_once,
        what_lies_in_a_batch_and_is_no_item_is_given_up_and_the_items_are_kept,
    }
    memory_sqlite { what_can_be_no_item_is_given_up_at_once, }
    redis_postgres { a_document_that_the_store_refuses_is_given_up_and_its_nine_neighbours_are_kept, }
}

async fn what_can_be_no_item_is_given_up_at_once(bench: Bench) -> Result<()> {
    let _flusher = bench.flusher(&[("FEEDBACK_BATCH_SIZE", "3")])?;
    let mut nobody = reply("7", 100);
    nobody.agent_id.clear();
    let mut large = reply("7", 101);
    large.text = "x".repeat(16 * 1024 * 1024);
    let mut misnamed = reply("7", 102);
    misnamed.feedback_id = Some("a\u{1}b".to_owned());
    bench.reply(&[reply("7", 1), nobody, reply("7", 2)]).await?;
    bench.reply(&[large, misnamed, reply("7", 3)]).await?;
    let mut without_agent = RawFields::of(&reply("7", 103));
    without_agent.0.retain(|(name, _)| name != b"agentId");
    let claim = Once {
        key: "test".to_owned(),
        claimant: "test",
        window: SOON,
        rule: OnceRule::Unclaimed,
    };
    let (fields, claims) = ([without_agent], [claim]);
    let topic = FeedbackReplies::INFO;
    let published = bench.bus.publish_fields_once(&topic, &fields, &claims);
    published.await?;
    let letters = bench.letters(4).await?;
    let mut reasons: Vec<&str> = letters
        .iter()
        .map(|letter| letter.reason.as_str())
        .collect();
    reasons.sort_unstable();
    let expected = [
        "invalid_agent_id",
        "invalid_feedback_id",
        "item_too_large",
        "undecodable",
    ];
    assert_eq!(reasons, expected);
    bench.all_told(3).await
}

async fn what_lies_in_a_batch_and_is_no_item_is_given_up_and_the_items_are_kept(
    bench: Bench,
) -> Result<()> {
    let _flusher = bench.flusher(&[])?;
    bench.reply(&replies("7", 0..5)).await?;
    bench
        .cli_answers(&["LLEN", "feedback:batch:7"], &["5"])
        .await?;
    bench.cli(&["LPUSH", "feedback:batch:7", "not json", "{}"])?;
    bench.reply(&replies("7", 5..12)).await?;
    bench.kept("7", 12).await?;
    let letters = bench.letters(2).await?;
    for letter in &letters {
        assert_eq!(letter.reason, "unreadable_item");
        let fields = &letter.fields.0;
        let agent = fields.iter().find(|(name, _)| name == b"agentId");
        let (_, agent) = agent.context("no agent")?;
        assert_eq!(agent, b"7");
    }
    bench.batches.request_flush(None).await?;
    bench.all_told(12).await
}

async fn a_document_that_the_store_refuses_is_given_up_and_its_nine_neighbours_are_kept(
    bench: Bench,
) -> Result<()> {
    let _flusher = bench.flusher(&[])?;
    let mut all = replies("7", 0..10);
    let poison = all.get_mut(4).context("ten replies")?;
    // PostgreSQL has no place for it.
    "a\0b".clone_into(&mut poison.text);
    let mut poison = poison.clone();
    bench.reply(&all).await?;
    let letters = bench.letters(1).await?;
    let letter = letters.first().context("one letter")?;
    let facts = (letter.reason.as_str(), letter.group.as_str());
    assert_eq!(facts, ("document_refused", "feedback-service"));
    // The letter names the document, so that it is the same one when it is redriven.
    poison.feedback_id = Some(reply_id("7-m4"));
    assert_eq!(FeedbackReply::decode(letter.fields.clone())?, poison);
    bench.all_told(9).await?;
    let kept = bench.documents.of_agent(&AgentId::new("7")?, 100).await?;
    assert!(kept.iter().all(|document| document.message_id != "7-m4"));
    Ok(())
}
