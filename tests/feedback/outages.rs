//! Servers that are down are no feedback's fault.

use anyhow::{Context as _, Result};
use tests::SqlServer;

use crate::bench::{Bench, SOON};
use crate::given::replies;
use testkit::servers::eventually_async;

in_worlds! {
    redis_postgres {
        while_the_documents_store_is_down_feedback_waits_and_the_flusher_says_why,
    }
}

async fn while_the_documents_store_is_down_feedback_waits_and_the_flusher_says_why(
    bench: Bench,
) -> Result<()> {
    let flusher = bench.flusher(&[("FEEDBACK_ATTEMPTS_MAX", "1")])?;
    let SqlServer::Postgres(server) = &bench.sql else {
        return Ok(());
    };
    server.kill()?;
    bench.reply(&replies("7", 0..10)).await?;
    flusher.waits_for(Some("feedback-documents")).await?;
    let released = r#"millrace_feedback_released_total{reason="documents_unavailable"}"#;
    let tried = async || (flusher.metric(released).ok()? >= 3.0).then_some(());
    eventually_async("some tries", SOON, tried).await?;
    let waiting = bench.batches.overview(10).await?;
    let batch = waiting.batches.first().context("one batch")?;
    assert_eq!((waiting.total_items, batch.items), (10, 10));
    assert!(batch.attempts >= 3, "{batch:?}");
    server.restart()?;
    bench.all_told(10).await?;
    flusher.waits_for(None).await?;
    assert_eq!(bench.letters(0).await?, []);
    Ok(())
}
