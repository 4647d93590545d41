//! Dead letters: seen, published again, or removed.

use anyhow::{Context as _, Result};
use bus::MessageId;
use serde_json::{Value, json};

use crate::bench::{Bench, TOPIC, at, code_of};

fn path(action: &str) -> String {
    format!("/api/dead-letters/{}{action}", TOPIC.name)
}

fn texts(values: &Value) -> Vec<&str> {
    let values = values.as_array().map(Vec::as_slice).unwrap_or_default();
    values.iter().filter_map(Value::as_str).collect()
}

#[tokio::test]
async fn letters_are_counted_listed_and_shown_with_their_story() -> Result<()> {
    let Some(bench) = Bench::start(&[])? else {
        return Ok(());
    };
    let ids = bench.give_up(&["hopeless", "undecodable"]).await?;
    let counts = bench.json("/api/dead-letters")?;
    let topics = at(&counts, "/topics").as_array().context("no topics")?;
    let of_topic = topics
        .iter()
        .find(|topic| at(topic, "/topic") == TOPIC.name);
    let expected = json!({
        "topic": TOPIC.name, "waiting": 2, "redriven": 0, "discarded": 0, "expired": 0,
    });
    assert_eq!(of_topic, Some(&expected));

    let list = format!("/api/dead-letters?topic={}&count=1", TOPIC.name);
    let page = bench.json(&list)?;
    let [first, second] = <[String; 2]>::try_from(ids).ok().context("two letters")?;
    assert_eq!(at(&page, "/letters/0/id"), &first);
    assert_eq!(at(&page, "/nextId"), &second);
    let next = bench.json(&format!("{list}&startId={second}"))?;
    assert_eq!(at(&next, "/nextId"), &Value::Null);

    let one = bench.json(&path(&format!("/{second}")))?;
    assert_eq!(at(&next, "/letters/0"), &one);
    let mut one = one.as_object().context("no object")?.clone();
    for name in ["source_id", "first_failed_at", "failed_at"] {
        let value = one.remove(name).with_context(|| name.to_owned())?;
        assert!(
            value.as_str().is_some_and(|text| !text.is_empty()),
            "{name}"
        );
    }
    let expected = json!({
        "id": second, "group": "normalizers", "reason": "undecodable",
        "error": "it was undecodable", "attempts": 1, "worker": "test-reader", "part": null,
        "fields": { "number": "1" }, "lossy": false,
    });
    assert_eq!(Value::Object(one), expected);
    Ok(())
}

#[tokio::test]
async fn letters_are_redriven_by_id_once_and_the_log_knows_it() -> Result<()> {
    let Some(bench) = Bench::start(&[])? else {
        return Ok(());
    };
    let ids = bench.give_up(&["hopeless", "hopeless"]).await?;
    let [first, second] = <[String; 2]>::try_from(ids).ok().context("two letters")?;
    let wish = json!({ "ids": [first, "1-1"] });
    let answer = bench.post(&path("/redrive"), &wish)?;
    let new_id = at(&answer, "/redriven/0/new_id")
        .as_str()
        .context("no new id")?;
    let expected = json!({
        "topic": TOPIC.name, "redriven": [{ "id": first, "new_id": new_id }], "unknown": ["1-1"],
        "refused": [], "remaining": 1, "nextId": null, "endId": null,
    });
    assert_eq!(answer, expected);
    let again = bench.post(&path("/redrive"), &wish)?;
    assert_eq!(texts(at(&again, "/unknown")), [first.as_str(), "1-1"]);

    let published = bench.bus.range(TOPIC.name, new_id.parse()?, 10).await?;
    assert_eq!(published.len(), 1);
    let left = bench.bus.dead_letters(&TOPIC, MessageId::ZERO, 10).await?;
    assert_eq!(
        left.iter()
            .map(|letter| letter.id.to_string())
            .collect::<Vec<_>>(),
        [second]
    );
    let log = bench.process.log();
    let unknown = log
        .lines()
        .find(|line| line.contains("no such dead letter"));
    let unknown = unknown.context("the log does not know what was not there")?;
    assert!(unknown.contains("1-1"), "{unknown}");
    let line = log
        .lines()
        .find(|line| line.contains("dead letter redriven"));
    let line = line.context("the log does not know it")?;
    for word in [&first, new_id, TOPIC.name] {
        assert!(line.contains(word), "{word}: {line}");
    }
    Ok(())
}

#[tokio::test]
async fn letters_of_one_reason_are_discarded_and_the_others_stay() -> Result<()> {
    let Some(bench) = Bench::start(&[])? else {
        return Ok(());
    };
    let reasons = ["hopeless", "undecodable", "hopeless"];
    let ids = bench.give_up(&reasons).await?;
    let [first, second, third] = <[String; 3]>::try_from(ids).ok().context("three letters")?;
    let wish = json!({ "all": true, "reason": "hopeless" });
    let answer = bench.post(&path("/discard"), &wish)?;
    let expected = json!({
        "topic": TOPIC.name, "discarded": 2, "unknown": 0, "remaining": 1, "nextId": null,
        "endId": third,
    });
    assert_eq!(answer, expected);
    let left = bench.bus.dead_letters(&TOPIC, MessageId::ZERO, 10).await?;
    assert_eq!(
        left.iter()
            .map(|letter| letter.id.to_string())
            .collect::<Vec<_>>(),
        [second]
    );
    let log = bench.process.log();
    for letter in [&first, &third] {
        let mut about = log.lines().filter(|line| line.contains(letter.as_str()));
        let said = about.any(|line| line.contains("dead letter discarded"));
        assert!(said, "{letter}: {log}");
    }
    let meant = log
        .lines()
        .find(|line| line.contains("a decision on dead letters"));
    let meant = meant.context("nothing was announced")?;
    assert!(meant.contains(&first) && meant.contains(&third), "{meant}");
    Ok(())
}

#[tokio::test]
async fn one_request_decides_on_so_many_letters_and_says_where_to_go_on() -> Result<()> {
    let Some(bench) = Bench::start(&[])? else {
        return Ok(());
    };
    let reasons: Vec<&str> = (0..620)
        .map(|number| if number % 10 == 0 { "rare" } else { "hopeless" })
        .collect();
    let ids = bench.give_up(&reasons).await?;
    let last = ids.last().context("no letter")?;
    let answer = bench.post(
        &path("/redrive"),
        &json!({ "all": true, "reason": "hopeless" }),
    )?;
    let redriven = at(&answer, "/redriven").as_array().map(Vec::len);
    assert_eq!(
        (redriven, at(&answer, "/remaining")),
        (Some(500), &json!(120))
    );
    assert_eq!(at(&answer, "/endId"), last);
    let next = at(&answer, "/nextId").as_str().context("no next id")?;

    // What is given up meanwhile is not meant.
    bench
        .settle(500, |settlement, _, id| {
            settlement.dead.push(crate::bench::verdict(id, "hopeless"));
        })
        .await?;
    let wish = json!({ "all": true, "reason": "hopeless", "startId": next, "endId": last });
    let answer = bench.post(&path("/redrive"), &wish)?;
    let redriven = at(&answer, "/redriven").as_array().map(Vec::len);
    assert_eq!((redriven, at(&answer, "/nextId")), (Some(58), &Value::Null));
    assert_eq!(at(&answer, "/remaining"), 62 + 500);
    assert_eq!(at(&bench.json("/api/audit")?, "/balanced"), true);
    Ok(())
}

#[tokio::test]
async fn a_choice_that_is_none_decides_on_nothing() -> Result<()> {
    let Some(bench) = Bench::start(&[])? else {
        return Ok(());
    };
    bench.give_up(&["hopeless"]).await?;
    let json = [("Content-Type", "application/json")];
    let many = json!({ "ids": vec!["1-1"; 501] }).to_string();
    for action in ["/redrive", "/discard"] {
        for (body, code) in [
            ("", "invalid_body"),
            ("{", "invalid_body"),
            ("[]", "invalid_body"),
            ("{}", "invalid_choice"),
            (r#"{"all": false}"#, "invalid_choice"),
            (r#"{"all": true, "ids": ["1-1"]}"#, "invalid_choice"),
            (r#"{"ids": ["1-1"], "reason": "x"}"#, "invalid_choice"),
            (r#"{"all": true, "reasons": "x"}"#, "invalid_body"),
            (r#"{"ids": []}"#, "wrong_number_of_ids"),
            (r#"{"ids": ["x"]}"#, "invalid_message_id"),
            (r#"{"all": true, "startId": "x"}"#, "invalid_message_id"),
            (&many, "wrong_number_of_ids"),
        ] {
            let answer = bench.send(&path(action), &json, body.as_bytes())?;
            assert_eq!(
                code_of(&answer, 400).with_context(|| body.to_owned())?,
                code,
                "{body}"
            );
        }
        let answer = bench.send(&path(action), &json, &vec![b' '; 70_000])?;
        assert_eq!(code_of(&answer, 413)?, "body_too_large");
        let nowhere = format!("/api/dead-letters/nothing{action}");
        let answer = bench.send(&nowhere, &json, br#"{"all": true}"#)?;
        assert_eq!(code_of(&answer, 404)?, "unknown_stream");
    }
    assert_eq!(
        bench
            .bus
            .dead_letters(&TOPIC, MessageId::ZERO, 10)
            .await?
            .len(),
        1
    );
    Ok(())
}
