//! What is written reads back, whatever is in it.

use anyhow::Result;
use common::UnixMillis;
use common::messages::FeedbackKind;
use stores::{FeedbackDocument, Upserted};

use crate::{Bench, NOW, agent, document, documents};

on_every_store! {
    a_document_reads_back_as_it_was_given,
    nothing_is_not_an_empty_text,
    odd_ids_and_agents_are_kept_apart,
    any_moment_is_kept,
    an_empty_call_writes_nothing,
    a_thousand_and_one_documents_are_written_by_one_call,
}

fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    let pair = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
    pairs.iter().map(pair).collect()
}

async fn a_document_reads_back_as_it_was_given(bench: Bench) -> Result<()> {
    let extras = [
        pairs(&[("locale", "de"), ("app", ""), ("10", "ten"), ("9", "nine")]),
        pairs(&[("a.b", "1"), ("$set", "2"), ("", "3"), ("_id", "4")]),
        pairs(&[("twice", "1"), ("once", "2"), ("twice", "3")]),
        pairs(&[("gr\u{fc}n \u{1f44d}", "\u{202e}\"\\\n"), ("'; DROP", "x")]),
        Vec::new(),
    ];
    for (number, extra) in extras.into_iter().enumerate() {
        let full = FeedbackDocument {
            agent_id: agent(&format!("agent {number}")),
            kind: FeedbackKind::Reaction,
            text: Some("1 < 2 \u{1f600} \u{e9} e\u{301}\t{\"$ne\": null}".to_owned()),
            rating: Some("\u{2605}\u{2605}".to_owned()),
            reaction: Some("\u{1f44e}\u{1f3fd}".to_owned()),
            extra,
            ..document(&format!("full {number}"))
        };
        let outcome = bench.upsert(std::slice::from_ref(&full)).await?;
        assert_eq!(outcome, [Upserted::Written]);
        assert_eq!(bench.only(full.agent_id.as_str()).await?, full);
    }
    Ok(())
}

async fn nothing_is_not_an_empty_text(bench: Bench) -> Result<()> {
    let nothing = FeedbackDocument {
        agent_id: agent("nothing"),
        text: None,
        rating: None,
        ..document("nothing")
    };
    let empty = FeedbackDocument {
        agent_id: agent("empty"),
        room_id: String::new(),
        text: Some(String::new()),
        rating: Some(String::new()),
        reaction: Some(String::new()),
        ..document("empty")
    };
    bench.upsert(&[nothing.clone(), empty.clone()]).await?;
    assert_eq!(bench.only("nothing").await?, nothing);
    assert_eq!(bench.only("empty").await?, empty);
    Ok(())
}

async fn odd_ids_and_agents_are_kept_apart(bench: Bench) -> Result<()> {
    let ids = [
        "a",
        "A",
        "a ",
        " a",
        "\u{e4}",
        "a\u{308}",
        "$a",
        "a.b",
        "{\"$gt\": \"\"}",
        "null",
        "1",
        "01",
        "\u{1f44d}",
        "",
    ];
    let odd: Vec<_> = ids.iter().map(|id| document(id)).collect();
    assert_eq!(
        bench.upsert(&odd).await?,
        vec![Upserted::Written; ids.len()]
    );
    assert_eq!(bench.count().await?, 14);
    let same_agents = ["7", "7 ", "\u{ff17}"].map(agent);
    for agent_id in same_agents.into_iter().skip(1) {
        let other = FeedbackDocument {
            agent_id: agent_id.clone(),
            ..document(agent_id.as_str())
        };
        bench.upsert(std::slice::from_ref(&other)).await?;
        assert_eq!(bench.only(agent_id.as_str()).await?, other);
    }
    Ok(())
}

async fn any_moment_is_kept(bench: Bench) -> Result<()> {
    for millis in [0, -1, NOW, -62_167_219_200_001, 253_402_300_799_999] {
        let then = FeedbackDocument {
            agent_id: agent(&millis.to_string()),
            created_at: UnixMillis(millis),
            ..document(&millis.to_string())
        };
        bench.upsert(std::slice::from_ref(&then)).await?;
        assert_eq!(bench.only(then.agent_id.as_str()).await?, then);
    }
    Ok(())
}

async fn an_empty_call_writes_nothing(bench: Bench) -> Result<()> {
    assert_eq!(bench.upsert(&[]).await?, []);
    assert_eq!(bench.count().await?, 0);
    Ok(())
}

async fn a_thousand_and_one_documents_are_written_by_one_call(bench: Bench) -> Result<()> {
    let many = documents(0..1_001);
    assert_eq!(bench.upsert(&many).await?, vec![Upserted::Written; 1_001]);
    assert_eq!(bench.count().await?, 1_001);
    Ok(())
}
