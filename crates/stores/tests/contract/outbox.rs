//! The outbox: what waits to be published.

use anyhow::Result;
use common::{RawFields, UnixMillis};
use stores::OutboxMessage;

use crate::facts::fact;
use crate::{Bench, NOW};

on_both_engines! {
    the_oldest_messages_come_first_and_stay_until_they_are_removed,
    a_message_that_is_added_twice_is_there_once,
    a_batch_of_512_messages_is_added_and_removed,
    fields_come_back_as_they_were_in_their_order,
}

pub(crate) fn message(id: &str) -> OutboxMessage {
    let field = |name: &str, value: &str| (name.as_bytes().to_vec(), value.as_bytes().to_vec());
    OutboxMessage {
        id: id.to_owned(),
        topic: "predictions.requests".to_owned(),
        fields: RawFields(vec![field("id", id), field("empty", "")]),
    }
}

/// Adds messages with an event that causes them.
async fn add(
    bench: &Bench,
    number: u64,
    now: UnixMillis,
    messages: &[OutboxMessage],
) -> Result<()> {
    bench
        .apply_causing(&[fact(number)], now, |_| messages.to_vec())
        .await?;
    Ok(())
}

async fn ids(bench: &Bench, count: u32) -> Result<Vec<String>> {
    let messages = bench.outbox().oldest(count).await?;
    Ok(messages.into_iter().map(|message| message.id).collect())
}

async fn the_oldest_messages_come_first_and_stay_until_they_are_removed(
    bench: Bench,
) -> Result<()> {
    assert_eq!(ids(&bench, 10).await?, [""; 0]);
    add(&bench, 1, NOW, &[message("c"), message("a")]).await?;
    add(&bench, 2, UnixMillis(NOW.0 - 1), &[message("d")]).await?;
    add(&bench, 3, UnixMillis(NOW.0 + 1), &[message("b")]).await?;
    for _ in 0..2 {
        assert_eq!(ids(&bench, 10).await?, ["d", "a", "c", "b"]);
        assert_eq!(ids(&bench, 2).await?, ["d", "a"]);
        assert_eq!(ids(&bench, 0).await?, [""; 0]);
    }
    assert_eq!(
        bench.outbox().oldest(1).await?,
        [message("d")],
        "topic and fields are kept"
    );
    let gone = [message("a"), message("b"), message("unknown")];
    for _ in 0..2 {
        bench.outbox().remove(&gone).await?;
        bench.outbox().remove(&[]).await?;
        assert_eq!(ids(&bench, 10).await?, ["d", "c"]);
    }
    Ok(())
}

async fn a_message_that_is_added_twice_is_there_once(bench: Bench) -> Result<()> {
    let other = OutboxMessage {
        topic: "events.rejected".to_owned(),
        ..message("a")
    };
    add(&bench, 1, NOW, &[message("a"), message("b"), other.clone()]).await?;
    add(&bench, 2, UnixMillis(NOW.0 + 1), &[other, message("c")]).await?;
    let expected = [message("a"), message("b"), message("c")];
    assert_eq!(bench.outbox().oldest(10).await?, expected);
    // Published and removed, it may be added anew: who adds it chooses an id that says so.
    bench.outbox().remove(&expected).await?;
    add(&bench, 3, NOW, &[message("a")]).await?;
    assert_eq!(ids(&bench, 10).await?, ["a"]);
    Ok(())
}

async fn a_batch_of_512_messages_is_added_and_removed(bench: Bench) -> Result<()> {
    let id = |number: u32| format!("message {number:04}");
    let messages: Vec<OutboxMessage> = (0..512).map(|number| message(&id(number))).collect();
    add(&bench, 1, NOW, &messages).await?;
    assert_eq!(bench.outbox().oldest(1_000).await?, messages);
    bench.outbox().remove(&messages[..500]).await?;
    assert_eq!(bench.outbox().oldest(1_000).await?, messages[500..]);
    Ok(())
}

async fn fields_come_back_as_they_were_in_their_order(bench: Bench) -> Result<()> {
    let texts = [
        "z",
        "a",
        "a",
        "",
        r#"{"quote":"\"","nul":"\u0000","list":[1,2.50]}"#,
        "line\nbreak\ttab\rreturn",
        "a NUL\0inside",
        "\u{1}\u{7f}\u{2028}\u{feff}",
        "Łódź, 東京, 👩‍👩‍👧, \u{10ffff}",
        "'; DROP TABLE outbox; --",
        "$1 ?1 :name %s",
    ];
    let fields = texts
        .windows(2)
        .map(|pair| (pair[0].as_bytes().to_vec(), pair[1].as_bytes().to_vec()));
    let odd = OutboxMessage {
        fields: RawFields(fields.collect()),
        ..message("odd")
    };
    let bare = OutboxMessage {
        fields: RawFields::default(),
        ..message("without fields")
    };
    add(&bench, 1, NOW, &[odd.clone(), bare.clone()]).await?;
    assert_eq!(bench.outbox().oldest(10).await?, [odd, bare]);
    Ok(())
}
