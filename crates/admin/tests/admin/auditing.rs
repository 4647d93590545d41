//! The equations are checked with what is really there.

use anyhow::{Context as _, Result};
use serde_json::{Value, json};

use crate::bench::{Bench, TOPIC, at, verdict};

fn of_topic(audit: &Value) -> Result<&Value> {
    let streams = at(audit, "/streams").as_array().context("no streams")?;
    let stream = streams
        .iter()
        .find(|stream| at(stream, "/name") == TOPIC.name);
    stream.context("no such stream")
}

#[tokio::test]
async fn every_message_and_letter_is_accounted_for_until_somebody_deletes_one() -> Result<()> {
    let Some(bench) = Bench::start(&[])? else {
        return Ok(());
    };
    let empty = bench.json("/api/audit")?;
    assert_eq!(at(&empty, "/balanced"), true);
    bench.publish(10).await?;
    bench
        .settle(10, |settlement, number, id| match number {
            0..4 => settlement.done.push(id),
            4..7 => settlement.dead.push(verdict(id, "hopeless")),
            _ => {}
        })
        .await?;
    let ids = bench.publish(5).await?;
    let audit = bench.json("/api/audit")?;
    assert_eq!(at(&audit, "/balanced"), true);
    let expected = json!({
        "name": TOPIC.name,
        "balanced": true,
        "proven": true,
        "groups": [{
            "group": "normalizers", "balanced": true, "proven": true, "exact": true, "published": 15, "done": 4,
            "pending": 3, "dead": 3, "undelivered": 5, "vanished": 0, "difference": 0,
        }],
        "dead_letters": {
            "balanced": true, "written": 3, "waiting": 3, "redriven": 0, "discarded": 0,
            "expired": 0, "difference": 0,
        },
    });
    assert_eq!(of_topic(&audit)?, &expected);

    let deleted = ids.get(1).context("no id")?.to_string();
    bench.cli(&["XDEL", TOPIC.name, &deleted])?;
    bench.cli(&["XTRIM", &TOPIC.dead_letters(), "MAXLEN", "1"])?;
    let audit = bench.json("/api/audit")?;
    assert_eq!(at(&audit, "/balanced"), false);
    let stream = of_topic(&audit)?;
    assert_eq!(at(stream, "/balanced"), false);
    assert_eq!(at(stream, "/groups/0/difference"), 1);
    assert_eq!(at(stream, "/dead_letters/difference"), 2);
    let page = bench.get("/")?.body;
    for text in ["not balanced", "1 missing", "2 missing"] {
        assert!(page.contains(text), "{text}: {page}");
    }
    Ok(())
}

#[tokio::test]
async fn what_is_not_counted_is_not_called_proven() -> Result<()> {
    let Some(bench) = Bench::start(&[])? else {
        return Ok(());
    };
    bench.publish(3).await?;
    let counted = bench.json("/api/audit")?;
    assert_eq!(at(&counted, "/proven"), true);
    assert!(!bench.get("/")?.body.contains("not fully counted"));

    // Of a group that no topic declares nobody counts what is done.
    bench.cli(&["XGROUP", "CREATE", TOPIC.name, "strangers", "0"])?;
    let audit = bench.json("/api/audit")?;
    assert_eq!(
        (at(&audit, "/balanced"), at(&audit, "/proven")),
        (&json!(true), &json!(false))
    );
    let stream = of_topic(&audit)?;
    assert_eq!(at(stream, "/proven"), false);
    let groups = at(stream, "/groups").as_array().context("no groups")?;
    let strangers = groups.iter().find(|group| at(group, "/exact") == false);
    let strangers = strangers.context("all is counted")?;
    assert_eq!(
        (at(strangers, "/group"), at(strangers, "/proven")),
        (&json!("strangers"), &json!(false))
    );
    let page = bench.get("/")?.body;
    assert!(page.contains("not fully counted"), "{page}");
    assert!(
        !page.contains("Every published message is done"),
        "it is called proven: {page}"
    );
    Ok(())
}
