//! What people see.

use anyhow::Result;
use common::RawFields;

use crate::bench::{Bench, TOPIC, verdict};

#[tokio::test]
async fn the_first_page_shows_streams_groups_letters_and_the_audit() -> Result<()> {
    let Some(bench) = Bench::start(&[])? else {
        return Ok(());
    };
    let empty = bench.get("/")?;
    assert_eq!(
        empty.header("Content-Type"),
        Some("text/html; charset=utf-8")
    );
    for text in [
        "healthy",
        "balanced",
        "nobody reads it",
        "There are none",
        "http-equiv=\"refresh\"",
    ] {
        assert!(empty.body.contains(text), "{text}: {}", empty.body);
    }
    bench.give_up(&["hopeless"; 3]).await?;
    bench.publish(1_234).await?;
    let page = bench.get("/?refresh=off")?.body;
    for text in [
        "normalizers",
        "1\u{202f}237",
        "href=\"/dead-letters/events.raw\"",
    ] {
        assert!(page.contains(text), "{text}: {page}");
    }
    assert!(!page.contains("http-equiv"), "it refreshes itself");
    let style = bench.get("/style.css")?;
    assert_eq!(
        style.header("Content-Type"),
        Some("text/css; charset=utf-8")
    );
    Ok(())
}

#[tokio::test]
async fn what_strangers_wrote_is_shown_as_text() -> Result<()> {
    let Some(bench) = Bench::start(&[])? else {
        return Ok(());
    };
    let script = "<script>alert('x')</script>\" onload=\"y";
    let fields = RawFields(vec![
        (script.into(), script.into()),
        (b"b".to_vec(), vec![255]),
    ]);
    bench.publish_fields(&[fields]).await?;
    bench
        .settle(1, |settlement, _, id| {
            settlement.dead.push(verdict(id, script));
        })
        .await?;
    let page = bench.get(&format!("/dead-letters/{}", TOPIC.name))?;
    assert_eq!(page.status, 200);
    assert_eq!(
        page.body.matches("&lt;script&gt;alert(").count(),
        4,
        "{}",
        page.body
    );
    assert!(
        !page.body.contains("<script") && !page.body.contains("\" onload"),
        "{}",
        page.body
    );
    Ok(())
}

#[tokio::test]
async fn a_long_list_of_letters_has_pages() -> Result<()> {
    let Some(bench) = Bench::start(&[])? else {
        return Ok(());
    };
    let ids = bench.give_up(&["hopeless"; 30]).await?;
    let path = format!("/dead-letters/{}", TOPIC.name);
    let shown = |page: &str| {
        ids.iter()
            .filter(|id| page.contains(&format!("<code>{id}</code>")))
            .count()
    };
    let first = bench.get(&path)?.body;
    assert_eq!(shown(&first), 25);
    let next = ids
        .get(25)
        .map(|id| format!("{path}?startId={id}"))
        .unwrap_or_default();
    assert!(first.contains(&next), "{first}");
    let second = bench.get(&next)?.body;
    assert_eq!(shown(&second), 5);
    assert!(!second.contains("Later ones"));
    Ok(())
}
